# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m tests.campaigns.safety``: what could go wrong, category by category, counted; writes the page of it.

The page docs/docsite/rst/safety.rst tells what was run and seen. The numbers of each category are kept in .cache, so
that it can be run alone (``--only races``); those of other versions do not count. ``--short`` leaves the slow tests
out, and the page says so.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import typing as t
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

REPOSITORY = Path(__file__).resolve().parents[2]
KEPT = REPOSITORY / ".cache" / "safety"
PAGE = REPOSITORY / "docs" / "docsite" / "rst" / "safety.rst"
THREATS = Path(__file__).with_name("threats.rst")
_PACKAGES = ("ansible-core", "snowflake-connector-python", "keeper-secrets-manager-core", "requests")
_OTHERS = "other slow tests"
_INTEGRATION = "tests/integration"
_UNIT = "tests/unit/plugins/module_utils"
_MERAKI = f"{_INTEGRATION}/test_meraki_vpn_user_password.py"
_KEYS = f"{_INTEGRATION}/test_role_snowflake_user_keypair.py"
_TOKENS = f"{_INTEGRATION}/test_role_snowflake_user_token.py"
_PASSWORDS = f"{_INTEGRATION}/test_role_snowflake_user_password.py"
_REST = f"{_INTEGRATION}/test_role_rest_password_rotate.py"
_VAULT = f"{_INTEGRATION}/keeper_rotation/test_vault.py"
_MATRIX = f"{_INTEGRATION}/test_kill_matrix.py"
_MATRIX_MERAKI = f"{_INTEGRATION}/test_kill_matrix_meraki.py"
_GATEWAY = f"{_INTEGRATION}/test_gateway_processes.py"


@dataclasses.dataclass(frozen=True)
class Category:
    """what: for the page. tests: files, or single tests of one. environment: of the tests."""

    what: str
    tests: tuple[str, ...]
    environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


CATEGORIES = {
    "kills": Category(
        "SIGKILL at a request, before or after the server has acted; the next run ends it",
        (
            f"{_MATRIX}::test_killed_run_of_one_record",
            f"{_MATRIX}::test_killed_run_of_one_record_without_revisions",
            f"{_MATRIX}::test_killed_run_of_three_records",
            f"{_MATRIX}::test_killed_twice",
            f"{_MATRIX_MERAKI}::test_killed_run_of_one_record",
            f"{_MATRIX_MERAKI}::test_killed_run_of_one_record_while_it_reads",
            f"{_MATRIX_MERAKI}::test_killed_run_of_three_records",
            f"{_MATRIX_MERAKI}::test_killed_twice",
            f"{_INTEGRATION}/test_kill_matrix_rest.py::test_killed_run",
            f"{_KEYS}::test_killed_at_a_request",
            f"{_KEYS}::test_killed_while_it_retires",
            f"{_TOKENS}::test_killed_at_a_request",
            f"{_INTEGRATION}/test_snowflake_user_token.py::test_killed_anywhere_no_orphan_is_left",
            f"{_GATEWAY}::test_sigkill_of_the_script_leaves_nothing",
            f"{_GATEWAY}::test_sigkill_of_the_process_in_between",
        ),
    ),
    "network faults": Category(
        "refused, unknown host, reset, half an answer, silence, slow bytes, TLS; under each client's write",
        (
            f"{_INTEGRATION}/test_network_faults.py",
            f"{_INTEGRATION}/snowflake_user_password/test_network.py",
            f"{_INTEGRATION}/snowflake_user_keypair/test_lost_answers.py",
            f"{_MERAKI}::test_a_lost_answer_is_asked_for_again",
            f"{_MERAKI}::test_answers_that_never_come",
            f"{_MERAKI}::test_nobody_there",
            f"{_UNIT}/_core/test_transport.py",
        ),
    ),
    "HTTP storms": Category(
        "every status, redirects, rubbish, endless and odd answers, rate limits",
        (
            f"{_MERAKI}::test_faults_of_the_list",
            f"{_MERAKI}::test_answers_to_the_write",
            f"{_MERAKI}::test_a_redirect_to_another_host",
            f"{_MERAKI}::test_a_refusal_after_a_lost_answer_is_no_refusal",
            f"{_MERAKI}::test_retry_after_in_seconds_and_as_a_date",
            f"{_MERAKI}::test_a_pace_beyond_the_limit_ends_well_too",
            f"{_REST}::test_what_leaves_doubt_stays_pending_and_is_finished_by_the_next_run",
            f"{_UNIT}/_rest/test_client.py",
        ),
    ),
    "vault faults": Category(
        "a vault that others edit, that is slow, full or silent, that acknowledges and does not save",
        (_VAULT, f"{_INTEGRATION}/keeper_rotation/test_admin_record.py"),
    ),
    "races": Category(
        "2, 4 and 8 runs of one record that meet, and changes that arrive late, with revisions on and off",
        (
            f"{_INTEGRATION}/test_races.py",
            f"{_MATRIX}::test_runs_at_the_same_time",
            f"{_MATRIX}::test_an_orphan_changes_the_password_late",
            f"{_MATRIX}::test_a_refused_run_does_not_discard_what_another_one_has_set",
            f"{_MATRIX}::test_a_late_run_does_not_bring_back_an_older_password",
            f"{_MATRIX_MERAKI}::test_runs_at_the_same_time",
            f"{_MATRIX_MERAKI}::test_an_orphan_changes_the_password_late",
        ),
    ),
    "random histories": Category(
        "records, answers, deaths, overlapping runs, edits and clocks in sequences that nobody has written",
        (f"{_INTEGRATION}/test_machine.py",),
        {"KEYTURN_MACHINE": os.environ.get("KEYTURN_MACHINE", "100")},
    ),
    "leak hunt": Category(
        "secrets in every spelling, in output, artifacts, files, arguments, environments and syslog",
        (
            f"{_INTEGRATION}/test_leaks.py",
            f"{_PASSWORDS}::test_no_secret_is_shown_or_left",
            f"{_PASSWORDS}::test_a_killed_run_leaves_no_secret_in_files",
            f"{_PASSWORDS}::test_no_secret_in_arguments_or_environment",
            f"{_REST}::test_nothing_is_shown_or_left",
            f"{_KEYS}::test_a_killed_run_leaves_no_key_in_files",
            f"{_INTEGRATION}/snowflake_user_keypair/test_front_door.py::test_no_line_of_a_private_key_is_shown_or_left",
            f"{_INTEGRATION}/test_snowflake_user_token.py::test_no_token_is_shown_or_left",
            f"{_UNIT}/_core/test_secrets.py",
            f"{_UNIT}/_core/test_module.py",
        ),
    ),
    "false successes": Category(
        "answers that say yes and are none, acknowledged and not done, receipts that prove nothing",
        (
            f"{_VAULT}::test_an_update_that_is_acknowledged_and_not_done",
            f"{_MERAKI}::test_a_200_counts_only_for_the_same_user",
            f"{_REST}::test_a_login_that_always_says_yes",
            f"{_REST}::test_an_unexpected_success_is_no_definite_refusal",
            f"{_INTEGRATION}/snowflake_user_keypair/test_lost_answers.py::test_an_acknowledged_change_that_is_not_there",
            "tests/unit/plugins/plugin_utils/test_fate.py",
            "tests/unit/plugins/plugin_utils/test_gateway.py::test_nothing_else_is_done",
            "tests/unit/extensions/keeper_gateway/test_post_rotation.py::test_nothing_else_is_believed",
        ),
    ),
    _OTHERS: Category("slow tests of none of these", ()),
}
SOAK, MUTATIONS = "soak", "mutations"


def versions() -> str:
    found = []
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(f"{name} {metadata.version(name)}")
    galaxy = (REPOSITORY / "galaxy.yml").read_text(encoding="utf-8")
    ours = re.findall(r"^version: *(\S+)", galaxy, re.MULTILINE)
    return f"keyturn.credentials {ours[0]}, Python {platform.python_version()}, {', '.join(found)}"


@dataclasses.dataclass
class Result:
    """What one category has shown. tried: tests, rotations or mutations; known: failures that are documented.

    words: for the page, besides. versions: of all that took part.
    """

    tried: int = 0
    good: int = 0
    bad: int = 0
    known: int = 0
    skipped: int = 0
    seconds: float = 0.0
    short: bool = False
    words: str = ""
    date: str = dataclasses.field(default_factory=lambda: dt.datetime.now(dt.UTC).date().isoformat())
    versions: str = dataclasses.field(default_factory=versions)


def counted(junit: Path) -> Result:
    """What pytest's report says."""
    found = Result()
    for case in ElementTree.parse(junit).getroot().iter("testcase"):  # noqa: S314 (pytest has just written it)
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            found.bad += 1
        elif skipped is None:
            found.good += 1
        elif skipped.get("type") == "pytest.xfail":
            found.known += 1
        else:
            found.skipped += 1
    found.tried = found.good + found.bad + found.known
    return found


def run_tests(name: str, *, short: bool, workers: int) -> Result:
    """The tests of a category, each once, though another one has it as well."""
    category = CATEGORIES[name]
    chosen = list(category.tests)
    if name == _OTHERS:
        named = [test for each in CATEGORIES.values() for test in each.tests]
        chosen = ["-m", "slow", "tests", *(f"--deselect={test}" for test in named)]
    elif short:
        chosen += ["-m", "not slow"]
    with tempfile.TemporaryDirectory(prefix="keyturn-safety-") as directory:
        junit = Path(directory, "junit.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={junit}", *chosen]
        command += ["-n", str(workers), "--dist", "worksteal"] if workers > 1 else []
        environment = {**os.environ, **({} if short else category.environment)}
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False)
        # Another code than for tests that pass or fail: some did not run, and a count would hide that.
        result = counted(junit) if done.returncode in (0, 1) else Result(bad=1, words="pytest broke")
    result.short = short
    return result


def run_soak(rotations: int, seed: int) -> Result:
    with tempfile.TemporaryDirectory(prefix="keyturn-safety-") as directory:
        numbers = Path(directory, "soak.json")
        command = [sys.executable, "-m", "tests.campaigns.soak", "--rotations", str(rotations), "--seed", str(seed)]
        subprocess.run([*command, "--json", str(numbers)], cwd=REPOSITORY, check=False)
        return soaked(json.loads(numbers.read_text(encoding="utf-8"))) if numbers.exists() else Result(bad=1)


def soaked(numbers: t.Mapping[str, t.Any]) -> Result:
    """The numbers of a soak, in words."""
    faults, seen = sum(numbers["faults"].values()), numbers["seen"]
    words = (
        f"{numbers['rotations']:,} rotations in {numbers['runs']:,} runs with {numbers['requests']:,} requests. "
        f"But for the calm runs in between, each met a fault with a chance of {numbers['chance']:.0%}: {faults:,} "
        f"faults of {len(numbers['faults'])} kinds, {numbers['kills']:,} runs killed. Lost: {seen.get('lost', 0)}; "
        f"false successes: {seen.get('false success', 0)}; leaked: {seen.get('leaked', 0)}; "
        f"stuck: {seen.get('stuck', 0)}. Seed {numbers['seed']}"
    )
    bad = len(numbers["divergences"])
    result = Result(numbers["rotations"], numbers["rotations"] - bad, bad, words=words)
    result.seconds = numbers["seconds"]
    return result


def run_mutations() -> Result:
    command = [sys.executable, "-m", "tests.campaigns.mutations"]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    print(done.stdout, flush=True)
    found = re.findall(r"^(\d+) / (\d+) mutations caught", done.stdout, re.MULTILINE)
    if not found:
        return Result(bad=1, words="it broke")
    caught, tried = map(int, found[0])
    return Result(tried, caught, tried - caught)


# -- the page

_WHAT = {
    **{name: category.what for name, category in CATEGORIES.items()},
    SOAK: "rotations of all kinds with faults and deaths at random",
    MUTATIONS: "promises broken on purpose, one at a time: a test must notice each",
}


def kept() -> dict[str, Result]:
    """By category, what was seen with these versions."""
    found = {}
    for name in _WHAT:
        with contextlib.suppress(FileNotFoundError):
            result = Result(**json.loads((KEPT / f"{name}.json").read_text(encoding="utf-8")))
            if result.versions == versions():
                found[name] = result
    return found


def keep(name: str, result: Result) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{name}.json").write_text(json.dumps(dataclasses.asdict(result)), encoding="utf-8")


def row(name: str, result: Result | None) -> tuple[str, ...]:
    what = f"**{name}**: {_WHAT[name]}"
    if result is None:
        return what, "not run", "", "", ""
    notes = [f"{result.known} known" if result.known else "", f"{result.skipped} skipped" if result.skipped else ""]
    tried = f"{result.tried:,}" + (", the short ones only" if result.short else "")
    otherwise = ", ".join([str(result.bad), *filter(None, notes)])
    return what, tried, f"{result.good:,}", otherwise, f"{result.date}, {max(1, round(result.seconds / 60))} min"


def page(results: t.Mapping[str, Result]) -> str:
    """The threats, which are written by hand, around the table."""
    rows: list[tuple[str, ...]] = [("what was tried", "cases", "as promised", "otherwise", "when, how long")]
    rows += [row(name, results.get(name)) for name in _WHAT]
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 44 16 12 14 14", ""]
    for first, *others in rows:
        lines += [f"   * - {first}", *(f"     - {cell}".rstrip() for cell in others)]
    lines += ["", f"With {versions()}, on {os.cpu_count()} cores."]
    if SOAK in results:
        lines += ["", f"The soak: {results[SOAK].words}."]
    return THREATS.read_text(encoding="utf-8").replace(".. the table\n", "\n".join(lines) + "\n")


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.safety", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=_WHAT, default=[name for name in _WHAT if name != MUTATIONS])
    parser.add_argument("--short", action="store_true", help="without the slow tests")
    parser.add_argument("--rotations", type=int, default=10_000, help="of the soak")
    parser.add_argument("--seed", type=int, default=7, help="of the soak")
    parser.add_argument("--soaked", type=Path, help="the numbers of a soak that has been run (its --json)")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args(arguments)
    bad = 0
    for name in given.only:
        began = time.monotonic()
        print(f"== {name}", flush=True)
        if name == SOAK and given.soaked:
            result = soaked(json.loads(given.soaked.read_text(encoding="utf-8")))
        elif name == SOAK:
            result = run_soak(given.rotations, given.seed)
        elif name == MUTATIONS:
            result = run_mutations()
        else:
            result = run_tests(name, short=given.short, workers=given.workers)
        result.seconds = result.seconds or time.monotonic() - began
        keep(name, result)
        bad += result.bad
    PAGE.write_text(page(kept()), encoding="utf-8")
    print(f"{PAGE.relative_to(REPOSITORY)} is written; {bad} not as promised")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
