# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
import hashlib
import json
import pathlib
import secrets
import typing as t

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import now
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _fleet, _history, _report, _run_id, _stats

_NAME = "rotation"
_HISTORY = "history.jsonl"
Result = dict[str, t.Any]


class ActionModule(ActionBase):
    """Keeps the fleet's report on the controller, in check mode too: it is about the run, not about a target."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        _validated, params = self.validate_argument_spec(
            {
                "hosts": {"type": "list", "elements": "str", "no_log": False},
                "directory": {"type": "path", "no_log": False},
                "problem": {"type": "str", "no_log": False},
                "account": {"type": "str", "choices": ["begins", "ends"], "no_log": False},
                "max_fail_percentage": {"type": "float", "default": 100.0, "no_log": False},
            }
        )
        variables = task_vars or {}
        result["changed"] = False
        if params["account"] == "begins":
            return self._begin(result, variables, params)
        if params["account"] == "ends":
            return self._end(result, variables, params)
        result.update(self._report(variables, params["hosts"] or [], params))
        return result

    def _begin(self, result: Result, variables: dict[str, t.Any], params: dict[str, t.Any]) -> Result:
        host, batch = variables["inventory_hostname"], list(variables["ansible_play_batch"])
        with _Progress() as batches:
            first = not any(host in known["hosts"] for known in batches)
            if first:
                batches.append({"hosts": batch, "ended": {}})
            own = next(number for number, known in enumerate(batches) if host in known["hosts"])
            result["go"] = _fleet.may_begin(batches[:own], params["max_fail_percentage"])
        if first:
            # So that one is there whatever happens to this batch. If it cannot be written, the last one fails.
            result |= {**self._report(variables, variables["ansible_play_hosts_all"], params), "failed": False}
        strange = _fleet.strange_tags(variables["ansible_run_tags"])
        if strange:
            text = f"No kind of rotation is called {', '.join(strange)}. Nothing was rotated."
            result.update(failed=True, msg=text, go=False)
        return result

    def _end(self, result: Result, variables: dict[str, t.Any], params: dict[str, t.Any]) -> Result:
        name = variables["inventory_hostname"]
        _hand_over(name, variables["hostvars"])
        host = _host(name, variables["hostvars"], {name})
        told = list(host.told())
        failed = [each for each in told if each["outcome"] == "failed"]
        with _Progress() as batches:
            own = next(batch for batch in batches if name in batch["hosts"])
            own["ended"][str(name)] = bool(failed)
            ended = sum(len(batch["ended"]) for batch in batches)
            # Active are those that have neither failed nor come to their end without a word.
            last = set(variables["ansible_play_batch"]) <= own["ended"].keys()
        counts, *lines = _fleet.words(told)
        result.update(failed_credentials=len(failed), _ansible_verbose_always=True)
        result["msg"] = [f"{ended} of {len(variables['ansible_play_hosts_all'])}: {counts}", *lines]
        if params["directory"] and not self._task.check_mode:
            result["msg"] += _remember(pathlib.Path(params["directory"]), host)
        if last:
            report = self._report(variables, variables["ansible_play_hosts_all"], params)
            lines = [*report.pop("summary"), *filter(None, [report.get("msg")])]
            result.update(files=report["files"], failed=report.get("failed", False), msg=[*result["msg"], *lines])
            result["ansible_stats"] = report["ansible_stats"]
        return result

    def _report(self, variables: dict[str, t.Any], names: t.Sequence[str], params: dict[str, t.Any]) -> Result:
        with _Progress() as batches:
            ended = {name for batch in batches for name in batch["ended"]}
        hosts = [_host(name, variables["hostvars"], ended) for name in names]
        report = _report.build(hosts, now(), check_mode=self._task.check_mode, problem=params["problem"])
        counts = {outcome: report.counts[outcome] for outcome in _report.OUTCOMES}
        result: Result = {"summary": _report.summary(report), "counts": counts, "files": []}
        outcomes = (told for host in hosts for told in host.told())
        stats = _stats.stats(outcomes, _report.OUTCOMES)
        # As set_stats does it. Every report is about the whole run.
        result["ansible_stats"] = {"data": stats, "per_host": False, "aggregate": False}
        if params["directory"]:
            try:
                result["files"] = _write(pathlib.Path(params["directory"]), report)
            except OSError as error:
                text = f"The report cannot be written to {params['directory']}: {error.strerror}."
                result.update(failed=True, msg=text)
        return result


class _Progress:
    """What all hosts of this run know of its batches; one at a time, in a folder of the run that Ansible removes."""

    def __enter__(self) -> list[_fleet.Batch]:
        self._file = pathlib.Path(vars(constants)["DEFAULT_LOCAL_TMP"], "keyturn-progress.json").open(
            "a+", encoding="utf-8"
        )
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._file.seek(0)
        self._batches: list[_fleet.Batch] = json.loads(self._file.read() or "[]")
        return self._batches

    def __exit__(self, *exc_info: object) -> None:
        self._file.truncate(0)
        json.dump(self._batches, self._file)
        self._file.close()


def _handed_over(name: str) -> pathlib.Path:
    digest = hashlib.sha256(str(name).encode(errors="surrogatepass")).hexdigest()
    return pathlib.Path(vars(constants)["DEFAULT_LOCAL_TMP"], f"keyturn-ended-{digest}.json")


def _hand_over(name: str, hostvars: t.Any) -> None:
    """Keep what became of a host that ends: another one's task that began before does not find it in its variables."""
    facts = hostvars.raw_get(name)
    told = {key: facts[key] for key in ("keyturn_results", "keyturn_failure") if key in facts}
    _handed_over(name).write_text(json.dumps(told), encoding="utf-8")


def _host(name: str, hostvars: t.Any, ended: t.Container[str]) -> _report.Host:
    # Facts of ours hold no templates; to look for some in each of their texts takes most of the time.
    facts = json.loads(_handed_over(name).read_text("utf-8")) if name in ended else hostvars.raw_get(name)
    return _report.Host(
        name=str(name),
        rotations=_rotations(hostvars[name]),
        results=facts.get("keyturn_results") or {},
        done=name in ended,
        failure=facts.get("keyturn_failure") or None,
    )


def _rotations(variables: t.Any) -> t.Any:
    """A host's own variable may hold a template that fails: that host's problem, and no one else's."""
    try:
        return _plain(variables.get("keyturn_rotations"))
    except AnsibleError:
        return [{"problem": "keyturn_rotations of this host holds a template that cannot be evaluated."}]


def _plain(value: t.Any) -> t.Any:
    """Evaluated once and for all: Ansible's own containers evaluate what is in them each time that it is looked at."""
    if isinstance(value, t.Mapping):
        # Of a connection, which may hold secrets, the report takes nothing.
        return {
            str(name): {} if name == "connection" and isinstance(item, t.Mapping) else _plain(item)
            for name, item in value.items()
        }
    if isinstance(value, t.Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def _remember(directory: pathlib.Path, host: _report.Host) -> list[str]:
    """Appends to the history; a line for a person if that cannot be."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _history.append(directory / _HISTORY, _report.history(host, _run_id.run_id(), now()))
    except OSError as error:
        return [f"The history cannot be written to {directory / _HISTORY}: {error.strerror}."]
    return []


def _write(directory: pathlib.Path, report: _report.Report) -> list[str]:
    """The three files; each replaces the one before it as a whole, so that no reader sees half of it."""
    directory.mkdir(parents=True, exist_ok=True)
    forms = {"json": _report.as_json, "xml": _report.junit, "html": _report.page}
    return [_replace(directory / f"{_NAME}.{kind}", make(report)) for kind, make in forms.items()]


def _replace(path: pathlib.Path, pieces: t.Iterable[str]) -> str:
    # A name that nobody can have taken before us, and no link of somebody else's.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("x", encoding="utf-8", errors="replace") as file:
            file.writelines(pieces)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return str(path)
