#!/usr/bin/env python3
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gives the password that the Keeper Gateway has made to its service, through Ansible, and believes only a receipt.

Reads the gateway's line, base64 of a JSON object, from stdin. Exit codes: 0 done; 1 wrong usage, payload or input;
2 the service refused; 3 the outcome is not known, running again is safe; 4 busy; 5 Keeper; 6 environment, or no
receipt. On failure one line on stderr says why. No secret is printed, stored, or put into arguments or environment.

One file, standard library only, Python 3.9 or newer, Linux.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import ctypes
import json
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.parse
import uuid

VERSION = "1.0.0-dev"
COLLECTION = "keyturn.credentials"
PLAYBOOK = f"{COLLECTION}.post_rotation"

# Titles that Keeper's guides prescribe for the record with the administrator's secret.
TITLES = {
    "snowflake authentication record": "snowflake_user_password",
    "cisco authentication record": "meraki_vpn_user_password",
    "api access details": "rest_password_rotate",
    "record with access token": "rest_password_rotate",
}
KEYPAIR = "snowflake_user_keypair"
MODULES = (*dict.fromkeys(TITLES.values()), KEYPAIR)

# What the playbook and this script say, and how the script then ends.
EXIT_CODES = {
    "invalid_input": 1,
    "auth_failed": 2,
    "not_found": 2,
    "ambiguous": 2,
    "not_permitted": 2,
    "refused": 2,
    "slots_full": 2,
    "rate_limited": 3,
    "unreachable": 3,
    "unknown_outcome": 3,
    "verify_failed": 3,
    "busy": 4,
    "vault_error": 5,
    "missing_dependency": 6,
    "environment": 6,
    "no_receipt": 6,
}

# Fields with a meaning for us, as Keeper's guides spell them; a payload may spell them in any case.
_FIELDS = {
    name.lower(): name
    for name in (
        *("uid", "title", "login", "password", "url", "rotation_module"),
        *("snowflake_account_name", "network_id", "privatePEMKey", "keyPair"),
    )
}
# Of these the text may be shown, and blanks around it mean nothing.
_SECRET = {"password", "privatePEMKey", "keyPair"}
_PUBLIC = {"uid", "title", "login", "url", "rotation_module", "snowflake_account_name", "network_id"}

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Of the parent's environment, what could log, lead elsewhere, or belongs to the gateway itself.
_FOREIGN = re.compile(
    r"(ANSIBLE_|PYTHON|XDG_|LC_|LANG|GATEWAY_|KEYTURN_|SNOWFLAKE_|MERAKI_|BASH_ENV$|ENV$|HOME$|PWD$|OLDPWD$|TMPDIR$|TEMP$|TMP$)"
)
_LARGEST_PAYLOAD = 16 * 1024 * 1024
_LARGEST_RECEIPT = 64 * 1024
_LONGEST_TEXT = 600
# Shorter ones would blank out innocent text.
_SHORTEST_SECRET, _SHORTEST_FORM = 4, 8
# Seconds: how often a reader of the pipe is looked for, and how long a killed process may take to vanish.
_POLL, _LAST_BREATH = 0.02, 4.0
_PR_SET_CHILD_SUBREAPER = 36
# What the supervisor says instead of an exit code.
CANNOT_START = "cannot start"
UNKNOWN = "What the service has now is not known; running again is safe."

Record = dict[str, list[t.Any]]


class Failure(Exception):
    """The one line on stderr. code: a key of EXIT_CODES."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Stopped(Exception):
    """A signal asked for the end."""


class Event(t.NamedTuple):
    """What the gateway's payload says. admin: None only for key pairs, whose record the role reads itself."""

    module: str
    reason: str
    user: str
    user_uid: str
    new_password: str
    old_password: str
    admin: Record | None
    records: list[Record]


class Tools(t.NamedTuple):
    """What was found on this machine; ``found_by`` says how. collections: folders for ANSIBLE_COLLECTIONS_PATH."""

    ansible: str
    ansible_found_by: str
    collections: list[str]
    collections_found_by: str
    playbook: str


# -- the payload


def read_stdin(deadline: float) -> bytes:
    """All of stdin. Raises Failure when nothing comes, or too much."""
    if os.isatty(0):
        raise Failure("invalid_input", "stdin is a terminal; the gateway's base64 line is expected there.")
    chunks: list[bytes] = []
    while True:
        if not select.select([0], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise Failure("invalid_input", "stdin did not end in time.")
        try:
            chunk = os.read(0, 1 << 16)
        except OSError as error:
            raise Failure("invalid_input", f"stdin cannot be read ({error.strerror}).") from None
        if not chunk:
            break
        chunks.append(chunk)
        if sum(map(len, chunks)) > _LARGEST_PAYLOAD:
            raise Failure("invalid_input", "stdin is longer than any payload.")
    return b"".join(chunks)


def decode(blob: bytes, what: str) -> t.Any:
    """The JSON value in base64, with line ends of any kind."""
    text = b"".join(blob.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    if not text:
        raise Failure("invalid_input", f"{what} is empty.")
    try:
        raw = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise Failure("invalid_input", f"{what} is not base64.") from None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise Failure("invalid_input", f"{what} is base64, but not of JSON.") from None


def scalars(value: t.Any) -> list[t.Any]:
    """The values in a field, lists at any depth undone; empty ones are left out."""
    if isinstance(value, list):
        return [one for item in value for one in scalars(item)]
    return [] if value is None or value in ("", {}) else [value]


def one_text(payload: dict[str, t.Any], name: str, *, required: bool = False) -> str:
    """The text of a key of the payload, empty if it has none."""
    values = scalars(payload.get(name))
    if len(values) > 1 or (values and not isinstance(values[0], str)):
        raise Failure("invalid_input", f"{name} in the payload is not one text.")
    if required and not values:
        raise Failure("invalid_input", f"{name} is missing or empty in the payload.")
    return values[0] if values else ""


def read_record(given: t.Any) -> Record:
    """A record's fields by name; numbered duplicates go to the first."""
    if not isinstance(given, dict):
        raise Failure("invalid_input", "records in the payload holds something that is no record.")
    record: Record = {}
    for key, value in given.items():
        name = re.sub(r"[^0-9a-zA-Z]+", "_", key)
        name = _FIELDS.get(name.lower()) or _FIELDS.get(re.sub(r"_?\d+$", "", name.lower())) or name
        known = record.setdefault(name, [])
        for one in scalars(value):
            one = read_value(name, one)
            if one not in known:
                known.append(one)
    refuse_doubles(record, ("uid", "title", "rotation_module"))
    return record


def refuse_doubles(record: Record, names: t.Iterable[str]) -> None:
    for name in names:
        if len(record.get(name, [])) > 1:
            uid = safe(first(record, "uid"))
            raise Failure("invalid_input", f"Record {uid} of the payload has several values for {name}.")


def read_value(name: str, value: t.Any) -> t.Any:
    if name in _PUBLIC:
        return str(value).strip()
    if name == "keyPair":
        with contextlib.suppress(ValueError, TypeError):
            value = json.loads(value)
        pair = value if isinstance(value, dict) else {}
        return {half: str(pair[half]) for half in ("privateKey", "publicKey") if pair.get(half)}
    return json.dumps(value) if isinstance(value, dict) else value


def first(record: Record, name: str) -> str:
    return str((record.get(name) or [""])[0])


def read_records(payload: dict[str, t.Any]) -> list[Record]:
    """The records, each once: the gateway lists one again that has two roles."""
    given = payload.get("records")
    if isinstance(given, str):
        given = decode(given.encode("utf-8", "replace"), "records")
    if not isinstance(given, list) or not given:
        raise Failure("invalid_input", "records is missing or empty in the payload.")
    records: list[Record] = []
    for record in map(read_record, given):
        if record not in records:
            records.append(record)
    return records


def choose_module(argument: str | None, records: t.Sequence[Record]) -> tuple[str, str]:
    """The module and how it was chosen: by the argument, else by a field, else by the administrator's title."""
    if argument:
        return argument, "the argument"
    named = set(map(named_module, records)) - {""}
    if named:
        if len(named) > 1 or not named <= set(MODULES):
            raise Failure("invalid_input", f"rotation_module must be one of {', '.join(MODULES)}.")
        return named.pop(), "the field rotation_module"
    titled = {TITLES[title] for title in map(plain_title, records) if title in TITLES}
    if len(titled) > 1:
        raise Failure(
            "invalid_input", f"The titles of the records fit {' and '.join(sorted(titled))}; name the module."
        )
    if not titled:
        raise Failure(
            "invalid_input",
            "No module was named, and no record has a title of Keeper's guides, such as Snowflake Authentication "
            "Record. Attach the administrator's record to the script as its rotation credential.",
        )
    return titled.pop(), "the title of a record"


def named_module(record: Record) -> str:
    name = first(record, "rotation_module")
    return name[len(COLLECTION) + 1 :] if name.startswith(f"{COLLECTION}.") else name


def plain_title(record: Record) -> str:
    return " ".join(first(record, "title").lower().split())


def choose_admin(module: str, records: t.Sequence[Record]) -> Record | None:
    """The administrator's record: the one that names the module, else the one with the title; never one of two."""
    wanted = "snowflake_user_password" if module == KEYPAIR else module
    marked = [record for record in records if named_module(record) == module]
    found = marked or [record for record in records if TITLES.get(plain_title(record)) == wanted]
    if len(found) > 1:
        uids = " and ".join(safe(first(record, "uid")) for record in found)
        raise Failure("invalid_input", f"The records {uids} could both be the administrator's; attach only one.")
    if not found and module != KEYPAIR:
        titles = " or ".join(title for title, owner in TITLES.items() if owner == wanted)
        raise Failure(
            "invalid_input",
            f"No administrator's record: none of the records has the title {titles} (in any case), or the field "
            f"rotation_module. Attach it to the script as its rotation credential.",
        )
    return found[0] if found else None


def read_event(blob: bytes, argument: str | None) -> Event:
    """What the payload says. Raises Failure that names the field at fault."""
    payload = decode(blob, "stdin")
    if not isinstance(payload, dict):
        raise Failure("invalid_input", "stdin is JSON, but no object.")
    user_uid = one_text(payload, "userRecordUid", required=True).strip()
    records = read_records(payload)
    own = [record for record in records if first(record, "uid") == user_uid]
    others = [record for record in records if record not in own]
    module, reason = choose_module(argument, records)
    needs_password = module != KEYPAIR
    user = one_text(payload, "user") or "".join(first(record, "login") for record in own[:1])
    if not user and needs_password:
        raise Failure("invalid_input", "user is missing or empty in the payload, and login in the user's record.")
    admin = choose_admin(module, others)
    for record in (*own, *filter(None, [admin])):
        refuse_doubles(record, _FIELDS.values())
    return Event(
        module=module,
        reason=reason,
        user=user,
        user_uid=user_uid,
        new_password=one_text(payload, "newPassword", required=needs_password),
        old_password=one_text(payload, "oldPassword"),
        admin=admin,
        records=records,
    )


# -- texts


def safe(text: str) -> str:
    """A UID or the like, with nothing in it that could end a line."""
    return re.sub(r"[^\w.@-]", "?", text)[:64] or "-"


def secrets_of(event: Event | None) -> list[str]:
    """All texts of the payload that may not be shown, each in the forms in which it could turn up, longest first."""
    if event is None:
        return []
    found = {event.new_password, event.old_password}
    for record in event.records:
        for name, values in record.items():
            texts = {text for value in values for text in (value.values() if isinstance(value, dict) else [str(value)])}
            if name in _SECRET:
                found |= texts
            elif name not in _PUBLIC and not name.startswith("login_"):
                found |= {text for text in texts if len(text) >= _SHORTEST_FORM}
    forms = {secret for secret in found if len(secret) >= _SHORTEST_SECRET}
    for secret in found:
        raw = secret.encode("utf-8", "surrogatepass")
        derived = {json.dumps(secret)[1:-1], repr(secret)[1:-1]}
        derived |= {urllib.parse.quote(raw, safe=""), urllib.parse.quote_plus(raw), *secret.splitlines()}
        # Whatever stands before it, one of the three offsets matches; the last character mixes in what follows.
        derived |= {base64.b64encode(b"\0" * n + raw).decode().rstrip("=")[(0, 2, 3)[n] : -1] for n in range(3)}
        forms |= {form for form in derived if len(form) >= _SHORTEST_FORM}
    return sorted(forms, key=len, reverse=True)


def one_line(text: str, secrets: t.Sequence[str]) -> str:
    """The text without secrets, line ends and control characters, and not endless."""
    for secret in secrets:
        text = text.replace(secret, "********")
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def say(descriptor: int, line: str) -> None:
    """A line that nobody need be there to read."""
    with contextlib.suppress(OSError):
        os.write(descriptor, (line + "\n").encode("utf-8", "replace"))


# -- what is on this machine


def find_tools(options: argparse.Namespace) -> Tools:
    """Raises Failure with code environment when something is not there."""
    ansible, ansible_found_by = find_ansible(options.ansible_playbook)
    collections, collections_found_by = find_collections(options.playbook_dir)
    return Tools(ansible, ansible_found_by, collections, collections_found_by, find_playbook(options))


def find_ansible(argument: str | None) -> tuple[str, str]:
    named = [("--ansible-playbook", argument), ("KEYTURN_ANSIBLE_PLAYBOOK", os.environ.get("KEYTURN_ANSIBLE_PLAYBOOK"))]
    for source, path in named:
        if path:
            if not os.access(path, os.X_OK):
                raise Failure("environment", f"{source} names {path}, which is no program that can be started.")
            return absolute(path), source
    beside = os.path.join(os.path.dirname(sys.executable or ""), "ansible-playbook")
    if os.path.isabs(beside) and os.access(beside, os.X_OK):
        return beside, "the folder of this Python"
    found = shutil.which("ansible-playbook")
    if not found:
        raise Failure(
            "environment",
            "ansible-playbook was not found beside this Python or in PATH; name it with --ansible-playbook or "
            "KEYTURN_ANSIBLE_PLAYBOOK.",
        )
    return absolute(found), "PATH"


def short_folder() -> str | None:
    """ansible-core 2.21 binds a socket in there, whose path may have about 100 characters."""
    return "/tmp" if len(tempfile.gettempdir()) > 40 and os.access("/tmp", os.W_OK) else None


def is_ours(folder: str) -> bool:
    """Not one that other users of the machine could have filled, such as /tmp."""
    found = os.stat(folder)
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & stat.S_IWOTH


def find_collections(argument: str | None) -> tuple[list[str], str]:
    """Folders for ANSIBLE_COLLECTIONS_PATH, the one with this collection first."""
    folder = argument or os.environ.get("KEYTURN_PLAYBOOK_DIR")
    # .../ansible_collections/keyturn/credentials/extensions/keeper_gateway/post_rotation.py
    here = absolute(__file__)
    above = here
    for _level in range(6):
        above = os.path.dirname(above)
    inherited = os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(os.pathsep)
    candidates = [
        *((path, "the playbook folder") for path in around(folder)),
        (above, "the script's own place"),
        *((path, "the script's own place") for path in around(os.path.dirname(here))),
        *((path, "ANSIBLE_COLLECTIONS_PATH") for path in inherited if path),
        (os.path.expanduser("~/.ansible/collections"), "Ansible's default"),
        ("/usr/share/ansible/collections", "Ansible's default"),
    ]
    usable = [
        (absolute(path), source)
        for path, source in candidates
        if os.path.isdir(path) and (source != "the script's own place" or is_ours(path))
    ]
    holding = [(path, source) for path, source in usable if os.path.isdir(collection_in(path))]
    if not holding:
        raise Failure(
            "environment",
            f"The collection {COLLECTION} was not found; name a folder that holds it in collections/ with "
            "--playbook-dir or KEYTURN_PLAYBOOK_DIR, or set ANSIBLE_COLLECTIONS_PATH.",
        )
    return list(dict.fromkeys(path for path, _source in [holding[0], *usable])), holding[0][1]


def around(folder: str | None) -> list[str]:
    return [os.path.join(folder, "collections"), folder] if folder else []


def collection_in(folder: str) -> str:
    return os.path.join(folder, "ansible_collections", *COLLECTION.split("."), "playbooks")


def find_playbook(options: argparse.Namespace) -> str:
    """The collection's playbook, or the user's own by path or full name."""
    named = options.playbook
    if not named:
        return PLAYBOOK
    folder = options.playbook_dir or os.environ.get("KEYTURN_PLAYBOOK_DIR") or ""
    for path in (os.path.join(folder, named), named):
        if os.path.isfile(path):
            return absolute(path)
    if re.fullmatch(r"\w+\.\w+\.\w+", named) and not named.endswith((".yml", ".yaml")):
        return str(named)
    raise Failure("environment", f"The playbook {named} was not found.")


def absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except OSError:
        raise Failure("environment", f"{path} is a relative path, and the working directory is gone.") from None


def environment_for(folder: str, tools: Tools, options: argparse.Namespace) -> dict[str, str]:
    """The environment of ansible-playbook: the parent's, without anything that could log, and with homes of its own."""
    environment = {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}
    environment.setdefault("PATH", os.defpath)
    if options.keeper_config_file:
        environment.pop("KSM_CONFIG", None)
        environment["KSM_CONFIG_FILE"] = absolute(options.keeper_config_file)
    return {
        **environment,
        "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(tools.collections),
        "ANSIBLE_CONFIG": os.path.join(folder, "ansible.cfg"),
        "ANSIBLE_HOME": os.path.join(folder, "ansible"),
        # No inventory: localhost is then the controller itself, with the Python that runs Ansible.
        "ANSIBLE_INVENTORY": os.path.join(folder, "hosts"),
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_LOCAL_TEMP": os.path.join(folder, "tmp"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_NO_TARGET_SYSLOG": "True",
        # Without pipelining, Ansible writes the arguments of modules into temporary files.
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_REMOTE_TEMP": os.path.join(folder, "tmp"),
        "HOME": folder,
        "LC_ALL": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "TMPDIR": os.path.join(folder, "tmp"),
    }


@contextlib.contextmanager
def private_folder() -> t.Iterator[str]:
    """A 0700 folder with all that a run needs, and a pipe for its variables; afterwards it is gone."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        folder = os.path.realpath(tempfile.mkdtemp(prefix="keyturn-", dir=short_folder()))
    except OSError as error:
        raise Failure("environment", f"No private temporary folder can be made ({error.strerror}).") from None
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        os.mkdir(os.path.join(folder, "tmp"), 0o700)
        os.mkfifo(os.path.join(folder, "variables.json"), 0o600)
        for name in ("ansible.cfg", "hosts"):
            os.close(os.open(os.path.join(folder, name), os.O_CREAT | os.O_EXCL, 0o600))
        yield folder
    finally:
        stop_no_more()
        shutil.rmtree(folder, ignore_errors=True)


# -- processes


def become_subreaper() -> None:
    """Descendants whose parent dies become our children, so that none gets lost; Ansible's workers leave the group."""
    if not sys.platform.startswith("linux") or not os.path.exists("/proc/self/stat"):
        raise Failure("environment", "This script needs Linux with /proc, to end every process that it starts.")
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise Failure("environment", f"prctl was refused ({os.strerror(ctypes.get_errno())}).")


def descendants() -> list[int]:
    """The processes below this one, from /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                # The command's name in parentheses may hold anything.
                parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found = list(children.get(os.getpid(), []))
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def end_descendants() -> None:
    """Kill and reap until nothing is left; what a killed process has started meanwhile is found in the next round."""
    deadline = time.monotonic() + _LAST_BREATH
    while time.monotonic() < deadline:
        for pid in descendants():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


class Supervised(t.NamedTuple):
    """A running ansible-playbook. control: to be closed to end it; status, errors: to be read."""

    pid: int
    control: int
    status: int
    errors: int


def supervise(command: list[str], environment: dict[str, str], folder: str) -> Supervised:
    """Start the command under a process of its own that ends it, and removes the folder, whatever happens to us.

    That process notices our end by the closing of a pipe, so even SIGKILL does not leave anything behind. It is in a
    session of its own, where no signal for our process group arrives.
    """
    control_r, control_w = os.pipe()
    status_r, status_w = os.pipe()
    errors_r, errors_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for descriptor in (control_w, status_r, errors_r):
                os.close(descriptor)
            _supervisor(command, environment, folder, control_r, status_w, errors_w)
        finally:
            os._exit(0)
    for descriptor in (control_r, status_w, errors_w):
        os.close(descriptor)
    return Supervised(pid, control_w, status_r, errors_r)


def _supervisor(
    command: list[str], environment: dict[str, str], folder: str, control: int, status: int, errors: int
) -> None:
    os.setsid()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (*_STOPPING, signal.SIGCHLD):
        signal.signal(number, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    answer = ""
    try:
        become_subreaper()
        child = subprocess.Popen(
            command,
            cwd="/",
            env=environment,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        os.close(errors)
        while child.poll() is None:
            ready = select.select([control, woken], [], [])[0]
            if control in ready or set(os.read(woken, 4096)) & set(_STOPPING):
                break
        answer = "" if child.returncode is None else str(child.returncode)
    except (OSError, Failure):
        answer = CANNOT_START
    finally:
        end_descendants()
        with contextlib.suppress(OSError):  # nobody may be there to read
            os.write(status, answer.encode())
        os.close(status)
        # Until the receipt has been read, or its reader is dead.
        select.select([control], [], [])
        shutil.rmtree(folder, ignore_errors=True)


def run_playbook(
    command: list[str], environment: dict[str, str], folder: str, content: bytes, deadline: float
) -> tuple[int, str, t.Any]:
    """Its exit code, the end of its stderr, and its receipt (None if there is none). Afterwards no process is left."""
    supervised = None
    try:
        # No signal between the fork and the moment from which the child is ended in any case.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        supervised = supervise(command, environment, folder)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        status, stderr = attend(supervised, os.path.join(folder, "variables.json"), content, deadline)
        if status == CANNOT_START:
            raise Failure("environment", f"{command[0]} cannot be started.")
        if not re.fullmatch(r"-?\d+", status):
            raise Failure("unknown_outcome", f"The process that watches ansible-playbook was ended. {UNKNOWN}")
        return int(status), stderr, read_receipt(folder)
    finally:
        stop_no_more()
        if supervised is not None:
            os.close(supervised.control)
            outlive(supervised.pid)
        end_descendants()


def stop_no_more() -> None:
    """Cleaning up is not interrupted."""
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)


def outlive(pid: int) -> None:
    """Wait for the supervisor, but not for ever."""
    deadline = time.monotonic() + _LAST_BREATH
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline and not os.waitpid(pid, os.WNOHANG)[0]:
            time.sleep(0.005)


def attend(supervised: Supervised, fifo: str, content: bytes, deadline: float) -> tuple[str, str]:
    """Feed the variables, keep the last words, and wait for the end: (what the supervisor says, end of stderr).

    Nothing blocks: a playbook that ends without reading is noticed, and so is one that reads no further.
    """
    feeder = -1
    rest = memoryview(content)
    status, words = b"", b""
    sources = [supervised.status, supervised.errors]
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failure("unknown_outcome", f"The deadline passed and ansible-playbook was killed. {UNKNOWN}")
            if rest and feeder < 0:
                # Fails as long as nobody reads.
                with contextlib.suppress(OSError):
                    feeder = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            waiting = rest and feeder < 0
            patience = min(_POLL, left) if waiting else left
            reading, writing = select.select(sources, [feeder] if feeder >= 0 else [], [], patience)[:2]
            if writing:
                try:
                    rest = rest[os.write(feeder, rest[:4096]) :]
                except BlockingIOError:
                    pass
                except OSError:
                    rest = rest[:0]
                if not rest:
                    os.close(feeder)
                    feeder = -1
            if supervised.errors in reading:
                chunk = os.read(supervised.errors, 1 << 16)
                words = (words + chunk)[-(1 << 16) :]
                if not chunk:
                    sources.remove(supervised.errors)
            if supervised.status in reading:
                chunk = os.read(supervised.status, 64)
                status += chunk
                if not chunk:
                    return status.decode(), words.decode("utf-8", "replace")
    finally:
        if feeder >= 0:
            os.close(feeder)


# -- the verdict


def read_receipt(folder: str) -> t.Any:
    """What the playbook wrote, None if it is not there or not readable."""
    try:
        descriptor = os.open(os.path.join(folder, "receipt.json"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, encoding="utf-8") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return json.loads(file.read(_LARGEST_RECEIPT))
    except (OSError, ValueError):
        return None


def judge(code: int, words: str, receipt: t.Any, expected: dict[str, t.Any]) -> dict[str, t.Any]:
    """The receipt, if it says that all is done. expected: what must stand in it. Raises Failure otherwise."""
    if not isinstance(receipt, dict) or any(receipt.get(key) != value for key, value in expected.items()):
        raise Failure("no_receipt", f"ansible-playbook ended with {code} and without a receipt. {last_words(words)}")
    error = receipt.get("error_code")
    if receipt.get("done") is not True or error:
        text = receipt.get("msg") or f"The playbook did not finish the rotation; ansible-playbook ended with {code}."
        raise Failure(error if error in EXIT_CODES else "no_receipt", str(text))
    if code != 0:
        raise Failure(
            "unknown_outcome",
            f"The password is in force, but the playbook ended with {code} after that. {last_words(words)}",
        )
    return receipt


def last_words(words: str) -> str:
    """The last line in which Ansible names an error."""
    lines = [line for line in words.splitlines() if re.match(r"\[?ERROR", line)]
    return lines[-1] if lines else UNKNOWN


def variables(event: Event, run_id: str, folder: str) -> bytes:
    """The playbook's variables; every text is marked as no template, so that braces in a password survive."""
    given = {
        "run_id": run_id,
        "receipt": os.path.join(folder, "receipt.json"),
        "module": event.module,
        "user": event.user,
        "user_record_uid": event.user_uid,
        "new_password": event.new_password,
        "old_password": event.old_password,
        "admin_record": event.admin or {},
    }
    return json.dumps({"keyturn_gateway": unsafe(given)}).encode()


def unsafe(value: t.Any) -> t.Any:
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, dict):
        return {key: unsafe(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unsafe(item) for item in value]
    return value


# -- the command


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> t.NoReturn:
        raise Failure("invalid_input", f"{message}; see --help.")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(prog="post_rotation.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "module",
        nargs="?",
        choices=MODULES,
        metavar="MODULE",
        help=f"one of {', '.join(MODULES)}; default: the custom field rotation_module, else a title of Keeper's guides",
    )
    parser.add_argument("--playbook", metavar="FILE", help=f"your own playbook instead of {PLAYBOOK}")
    parser.add_argument(
        "--playbook-dir",
        metavar="DIR",
        help="where your playbook, and in collections/ the collections, are (or KEYTURN_PLAYBOOK_DIR)",
    )
    parser.add_argument(
        "--ansible-playbook", metavar="PATH", help="the program (or KEYTURN_ANSIBLE_PLAYBOOK, else found in PATH)"
    )
    parser.add_argument(
        "--keeper-config-file", metavar="FILE", help=f"for {KEYPAIR}: a KSM configuration (or KSM_CONFIG_FILE)"
    )
    parser.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS", help="for everything; default 300")
    parser.add_argument("--check", action="store_true", help="do everything up to the write")
    parser.add_argument("--explain", action="store_true", help="show, without values, what was understood, and stop")
    parser.add_argument("--version", action="version", version=f"post_rotation.py {VERSION}")
    options = parser.parse_args(arguments)
    if not 1 <= options.timeout <= 86400:
        parser.error("--timeout must be between 1 and 86400 seconds")
    return options


def explain(event: Event, tools: Tools) -> str:
    """What was understood, names only."""
    lines = [
        f"module            {event.module} (by {event.reason})",
        f"user              {'given' if event.user else 'missing'}",
        f"userRecordUid     {safe(event.user_uid)}",
        f"newPassword       {'given' if event.new_password else 'missing'}",
        f"oldPassword       {'given' if event.old_password else 'missing'}",
        f"administrator     {safe(first(event.admin, 'uid')) if event.admin else 'not in the payload'}",
        f"ansible-playbook  {tools.ansible} (by {tools.ansible_found_by})",
        f"collection        {tools.collections[0]} (by {tools.collections_found_by})",
        f"playbook          {tools.playbook}",
    ]
    for record in event.records:
        # No password hides in a title, but who knows.
        title = one_line(first(record, "title"), secrets_of(event))
        fields = ", ".join(sorted(safe(name) for name, values in record.items() if values))
        lines.append(f"record            {safe(first(record, 'uid'))} {title!r}: {fields}")
    return "\n".join(lines)


def hold_standard_descriptors() -> None:
    """A descriptor that was closed must not become that of a pipe or a file."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def stop(number: int, _frame: t.Any) -> t.NoReturn:
    raise Stopped(signal.Signals(number).name)


def rotate(options: argparse.Namespace, event: Event, run_id: str, deadline: float) -> str:
    """Run the playbook; returns what became of it in a few words. Raises Failure."""
    tools = find_tools(options)
    if options.explain:
        return explain(event, tools)
    become_subreaper()
    with private_folder() as folder:
        fifo = os.path.join(folder, "variables.json")
        command = [tools.ansible, tools.playbook, "-e", f"@{fifo}", *(["--check"] if options.check else [])]
        environment = environment_for(folder, tools, options)
        code, words, receipt = run_playbook(command, environment, folder, variables(event, run_id, folder), deadline)
    expected = {"run_id": run_id, "module": event.module, "check_mode": options.check}
    receipt = judge(code, words, receipt, expected)
    done = ["would change" if options.check else "changed"] if receipt.get("changed") else ["unchanged"]
    done.append("verified" if receipt.get("verified") else f"not verified ({receipt.get('verify_skipped_reason')})")
    return (
        f"ROTATE {'CHECK' if options.check else 'OK'} module={event.module} uid={safe(event.user_uid)} run={run_id}: "
        f"{', '.join(done)}; ansible-playbook={tools.ansible} collection={tools.collections[0]}"
    )


def main(arguments: list[str] | None = None) -> int:
    hold_standard_descriptors()
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in _STOPPING:
        signal.signal(number, stop)
    run_id = uuid.uuid4().hex[:12]
    event: Event | None = None
    try:
        options = parse(arguments)
        deadline = time.monotonic() + options.timeout
        event = read_event(read_stdin(deadline), options.module)
        say(1, rotate(options, event, run_id, deadline))
        return 0
    except Failure as failure:
        code, text = failure.code, failure.text
    except Stopped as stopped:
        code = "unknown_outcome"
        text = f"Stopped by {stopped}. {UNKNOWN}"
    except Exception as error:
        code = "environment"
        text = f"Internal error: {type(error).__name__}. {UNKNOWN}"
    stop_no_more()
    module, uid = (event.module, safe(event.user_uid)) if event else ("-", "-")
    line = one_line(text, secrets_of(event))
    say(2, f"ROTATE FAIL code={code} module={module} uid={uid} run={run_id}: {line}")
    return EXIT_CODES[code]


if __name__ == "__main__":
    # Not sys.exit: with PYTHONINSPECT in the environment, Python would go on with a prompt.
    os._exit(main())
