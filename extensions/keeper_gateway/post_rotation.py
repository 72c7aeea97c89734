#!/usr/bin/env python3
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gives the password that the Keeper Gateway has made to its service, through Ansible, and believes only a receipt.

Reads the gateway's line, base64 of a JSON object, from stdin. Exit codes: 0 done; 1 wrong usage, payload or input;
2 the service refused; 3 the outcome is not known, running again is safe; 4 busy; 5 Keeper; 6 environment, or no
receipt; 7 only looked (--check, --explain). On failure one line on stderr says why. No secret is printed, stored, or
put into arguments or environment. What records mean is the collection's business. Python 3.9 or newer, Linux.
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
MODULES = ("snowflake_user_password", "meraki_vpn_user_password", "rest_password_rotate", "snowflake_user_keypair")
# What the playbook and this script say, and how the script then ends.
EXIT_CODES = {
    **dict.fromkeys(("auth_failed", "not_found", "ambiguous", "not_permitted", "refused", "slots_full"), 2),
    **dict.fromkeys(("rate_limited", "unreachable", "unknown_outcome", "verify_failed", "delivery_failed"), 3),
    **dict.fromkeys(("missing_dependency", "environment", "no_receipt"), 6),
    **{"invalid_input": 1, "busy": 4, "vault_error": 5},
}
# Nothing was rotated, as asked. Not 0: attached by mistake, the gateway would keep a password that nobody has set.
ONLY_LOOKED = 7
# All that Ansible gets of the gateway's environment.
_INHERITED = re.compile(
    r"(?i:https?_proxy|all_proxy|no_proxy)\Z|(PATH|TZ|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    r"|KSM_CONFIG|KSM_CONFIG_FILE)\Z"
)
# What else it gets. Without an inventory, localhost is the controller itself, with Ansible's own Python; without
# pipelining, Ansible writes the arguments of modules into temporary files.
_SETTINGS = (
    "ANSIBLE_CONFIG={0}/ansible.cfg ANSIBLE_HOME={0}/ansible ANSIBLE_INVENTORY=/dev/null ANSIBLE_LOCAL_TEMP={0}/tmp "
    "ANSIBLE_REMOTE_TEMP={0}/tmp TMPDIR={0}/tmp HOME={0} LC_ALL=C.UTF-8 PYTHONNOUSERSITE=1 ANSIBLE_PIPELINING=1 "
    "ANSIBLE_NOCOLOR=1 ANSIBLE_NO_TARGET_SYSLOG=1 ANSIBLE_LOCALHOST_WARNING=0 ANSIBLE_INVENTORY_UNPARSED_WARNING=0"
)
# By the letters and digits of a label: what may be shown, and of what not even a part.
_TELLING = re.compile(r"password|passphrase|secret|token|key|credential|code\Z|pin\Z")
_PUBLIC = re.compile(
    r"(.*uid|title|type|label|url|website|websiteaddress|apiurl|user|username|login|rotationmodule|recipe"
    r"|snowflakeaccountname|account|networkid)\d*\Z|login"
)
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LARGEST_PAYLOAD, _LARGEST_RECEIPT = 16 * 1024 * 1024, 64 * 1024
# Characters: of what is said; of a secret, of a part of one, and of another spelling of one, less than which is chance.
_LONGEST_WORDS, _LONGEST_TEXT, _SHORTEST_SECRET, _PART, _SHORTEST_FORM = 4096, 600, 4, 6, 8
# Seconds: for the rest of a payload, between looks at what runs, and for killed processes to vanish.
_SILENCE, _POLL, _LAST_BREATH = 5.0, 0.02, 4.0
# What the child says instead of an exit code.
CANNOT_START, DEADLINE = "cannot start", "deadline"
UNKNOWN = "What the service has now is not known; running again is safe."


class Failure(Exception):
    """The one line on stderr. code: a key of EXIT_CODES."""

    def __init__(self, code: str, text: str, module: str = "-") -> None:
        super().__init__(text)
        self.code, self.text, self.module = code, text, module


class Stopped(Exception):
    """A signal asked for the end."""


def read_stdin(deadline: float) -> t.Any:
    """The value in the first line, or in all lines of wrapped base64. Nobody waits for the end of stdin."""
    if os.isatty(0):
        raise Failure("invalid_input", "stdin is a terminal; the gateway's base64 line is expected there.")
    blob = b""
    while True:
        left = max(0.0, deadline - time.monotonic())
        patience = min(left, _SILENCE) if blob.strip() and blob.endswith(b"\n") else left
        try:
            chunk = os.read(0, 1 << 16) if select.select([0], [], [], patience)[0] else b""
        except OSError as error:
            raise Failure("invalid_input", f"stdin cannot be read ({error.strerror}).") from None
        blob += chunk
        if not chunk:
            return decode(blob, "stdin")
        if len(blob) > _LARGEST_PAYLOAD:
            raise Failure("invalid_input", "stdin is longer than any payload.")
        if b"\n" in chunk:
            for candidate in (b"".join(blob.split(maxsplit=1)[:1]), blob):
                with contextlib.suppress(Failure):
                    return decode(candidate, "stdin")


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
        return json.loads(raw, object_pairs_hook=without_doubles)
    except (ValueError, RecursionError):
        raise Failure("invalid_input", f"{what} is base64, but not of JSON.") from None


def without_doubles(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name in found if [each for each, _value in pairs].count(name) > 1)
        raise Failure("invalid_input", f"The payload has the key {safe(twice)} twice in one object.")
    return found


def read_payload(deadline: float) -> dict[str, t.Any]:
    """The payload with its records decoded, and with a UID. Whatever else it must have, the collection says."""
    payload = read_stdin(deadline)
    if not isinstance(payload, dict):
        raise Failure("invalid_input", "stdin is JSON, but no object.")
    if not isinstance(payload.get("userRecordUid"), str) or not payload["userRecordUid"].strip():
        raise Failure("invalid_input", "userRecordUid is missing or empty in the payload.")
    if isinstance(payload.get("records"), str):
        payload["records"] = decode(payload["records"].encode("utf-8", "replace"), "records")
    return payload


def safe(text: str) -> str:
    """A UID or the like, with nothing in it that could end a line."""
    return re.sub(r"[^\w.@-]", "?", text)[:64] or "-"


def labelled(value: t.Any, label: str = "") -> t.Iterator[tuple[str, str]]:
    """Every text and number below a record, with the label of its field in letters and digits."""
    if isinstance(value, list):
        for item in value:
            yield from labelled(item, label)
    elif isinstance(value, dict):
        own = str(value.get("label") or value.get("type") or label) if "value" in value else ""
        for name, item in value.items():
            yield from labelled(item, own if own and name == "value" else name)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield re.sub(r"[\W_]+", "", label).lower(), str(value)


def hidden(payload: dict[str, t.Any]) -> tuple[set[str], set[str]]:
    """What may not be shown, in lower case: texts as a whole in any spelling, and texts no part of which may be."""
    whole, telling = set(), set()
    for label, text in labelled(payload):
        if _TELLING.search(label) and len(text) >= _SHORTEST_SECRET:
            telling.add(text)
        elif not _PUBLIC.match(label) and len(text) >= _SHORTEST_FORM:
            whole.add(text)
    return {form.lower() for text in telling | whole for form in spellings(text)}, set(map(str.lower, telling))


def spellings(secret: str) -> set[str]:
    """The forms in which a text could turn up, itself among them."""
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {json.dumps(secret)[1:-1], repr(secret)[1:-1], raw.hex(), secret[::-1], *secret.splitlines()}
    forms |= {urllib.parse.quote(raw, safe=""), urllib.parse.quote_plus(raw)}
    # Whatever stands before it, one of the three offsets matches; the last character mixes in what follows.
    forms |= {base64.b64encode(b"\0" * n + raw).decode().rstrip("=")[(0, 2, 3)[n] : -1] for n in range(3)}
    return {secret} | {form for form in forms if len(form) >= _SHORTEST_FORM}


def one_line(text: str, payload: dict[str, t.Any]) -> str:
    """The text without what is hidden, line ends and control characters, and not endless."""
    whole, telling = hidden(payload)
    text = text[:_LONGEST_WORDS]
    # Character for character; there is one whose lower case is two.
    plain, gone = text.replace("\u0130", "i").lower(), [False] * len(text)
    parts = {plain[start : start + _PART] for start in range(len(plain) - _PART + 1)}
    for form in (*whole, *(part for part in parts if any(part in secret for secret in telling))):
        start = plain.find(form)
        while start >= 0:
            gone[start : start + len(form)] = [True] * len(form)
            start = plain.find(form, start + 1)
    text = re.sub("\0+", "********", "".join("\0" if hide else each for each, hide in zip(text, gone)))
    text = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def say(descriptor: int, text: str) -> None:
    """Lines that nobody need be there to read."""
    with contextlib.suppress(OSError):
        os.write(descriptor, (text + "\n").encode("utf-8", "replace"))


def find_ansible(named: str | None) -> str:
    """All that is not found is a Failure with code environment."""
    beside = os.path.join(os.path.dirname(sys.executable or "."), "ansible-playbook")
    found = named or (beside if os.access(beside, os.X_OK) else shutil.which("ansible-playbook"))
    if not found or not os.access(found, os.X_OK):
        where = named or "the folder of this Python, or in PATH"
        raise Failure("environment", f"No program ansible-playbook in {where}; name one with --ansible-playbook.")
    return absolute(found)


def find_collection(named: str | None) -> str:
    """Its root. A folder that somebody names must hold it: no other copy is taken instead."""
    here = os.path.dirname(absolute(__file__))
    beside = (os.path.dirname(os.path.dirname(here)), *roots(here))
    places = [*filter(is_ours, beside), *(path for known in known_collections() for path in roots(known))]
    for path in roots(absolute(named)) if named else places:
        if os.path.isfile(os.path.join(path, "playbooks", "post_rotation.yml")):
            return path
    where = f"{COLLECTION} was not found in {named or 'what is beside the script, or where Ansible looks'}"
    hint = "with --playbook-dir, name a folder that holds it in collections/, its root or its playbooks/"
    raise Failure("environment", f"The collection {where}; {hint}.")


def roots(folder: str) -> list[str]:
    """Where the collection's root may be, seen from a folder that a person names."""
    inner = os.path.join("ansible_collections", *COLLECTION.split("."))
    parent, name = os.path.split(folder)
    candidates = [os.path.join(folder, "collections", inner), os.path.join(folder, inner), folder]
    return [*candidates, parent] if name == "playbooks" else candidates


def known_collections() -> list[str]:
    """Absolute folders in which Ansible looks for collections."""
    named = os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(os.pathsep)
    usual = ("~/.ansible/collections", "/usr/share/ansible/collections")
    return [absolute(os.path.expanduser(path)) for path in (*named, *usual) if path]


def is_ours(folder: str) -> bool:
    """Not one that other users of the machine could have filled, such as /tmp."""
    found = os.stat(folder) if os.path.isdir(folder) else None
    return found is not None and found.st_uid in (0, os.geteuid()) and not found.st_mode & stat.S_IWOTH


def find_playbook(options: argparse.Namespace) -> str:
    """The collection's playbook, or the user's own by path or full name."""
    named = PLAYBOOK if options.explain else options.playbook or PLAYBOOK
    found = next(filter(os.path.isfile, (os.path.join(options.playbook_dir or "", named), named)), None)
    if found:
        return absolute(found)
    if re.fullmatch(r"\w+\.\w+\.\w+", named) and not named.endswith((".yml", ".yaml")):
        return str(named)
    raise Failure("environment", f"The playbook {named} was not found.")


def absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except OSError:
        raise Failure("environment", f"{path} is a relative path, and the working directory is gone.") from None


def environment_for(folder: str, collection: str, keeper_config_file: str | None) -> dict[str, str]:
    """The environment of ansible-playbook: what is on the list, and settings and homes of its own."""
    environment = {name: value for name, value in os.environ.items() if _INHERITED.match(name)}
    environment.setdefault("PATH", os.defpath)
    # A program that was bundled has put its own libraries there, and the former value aside.
    if os.environ.get("LD_LIBRARY_PATH_ORIG"):
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH_ORIG"]
    if keeper_config_file:
        environment.pop("KSM_CONFIG", None)
        environment["KSM_CONFIG_FILE"] = absolute(keeper_config_file)
    # Ours is the first one, whatever is beside it; further on are those that it needs.
    others = (os.path.abspath(os.path.join(collection, "../../..")), *known_collections())
    collections = [os.path.join(folder, "collections"), *filter(os.path.isdir, others)]
    environment["ANSIBLE_COLLECTIONS_PATH"] = os.pathsep.join(collections)
    pairs = (setting.split("=") for setting in _SETTINGS.split())
    return {**environment, **{name: value.format(folder) for name, value in pairs}}


@contextlib.contextmanager
def private_folder(collection: str) -> t.Iterator[str]:
    """A 0700 folder with all that a run needs, and a pipe for its variables; afterwards it is gone."""
    # ansible-core 2.21 binds a socket in there, whose path may have about 100 characters.
    short = "/tmp" if len(tempfile.gettempdir()) > 40 and os.access("/tmp", os.W_OK) else None
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        folder = os.path.realpath(tempfile.mkdtemp(prefix="keyturn-", dir=short))
    except OSError as error:
        raise Failure("environment", f"No private temporary folder can be made ({error.strerror}).") from None
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        os.mkdir(os.path.join(folder, "tmp"), 0o700)
        # Why: docs/decisions/05-fifo.md
        os.mkfifo(os.path.join(folder, "variables.json"), 0o600)
        open(os.path.join(folder, "ansible.cfg"), "x").close()
        link = os.path.join(folder, "collections", "ansible_collections", *COLLECTION.split("."))
        os.makedirs(os.path.dirname(link))
        os.symlink(collection, link)
        yield folder
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        shutil.rmtree(folder, ignore_errors=True)


def become_subreaper() -> None:
    """Descendants whose parent dies become our children, so that none gets lost; Ansible's workers leave the group."""
    # 36 is PR_SET_CHILD_SUBREAPER.
    if not os.path.exists("/proc/self/stat") or ctypes.CDLL(None).prctl(36, 1, 0, 0, 0):
        raise Failure("environment", "This script needs Linux with /proc, to end every process that it starts.")


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


def supervise(work: t.Callable[[int], dict[str, t.Any]], folder: str) -> dict[str, t.Any]:
    """Do the work in a child; its answer, empty if it was ended. Afterwards no process is left.

    The child notices our end by the closing of a pipe, and cleans up: even SIGKILL does not leave anything behind.
    """
    control_r, control_w = os.pipe()
    answer_r, answer_w = os.pipe()
    try:
        # No signal until the child is ended in any case.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        if os.fork() == 0:
            try:
                os.close(control_w)
                with contextlib.suppress(OSError), open(answer_w, "wb") as file:
                    file.write(json.dumps(work(control_r)).encode())
                # Until the answer has been read, or its reader is dead.
                select.select([control_r], [], [])
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os._exit(0)
        os.close(answer_w)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        with open(answer_r, "rb") as file:
            return dict(json.loads(file.read() or b"{}"))
    finally:
        # Cleaning up is not interrupted.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        end_descendants()
        os.close(control_w)


def watch(
    command: list[str], environment: dict[str, str], content: bytes, deadline: float, control: int
) -> dict[str, t.Any]:
    """Feed the command its variables until it ends or control is closed: {ended: exit code or a word; words; receipt}.

    Nothing blocks: a command that does not read is noticed. No signal for our process group arrives in its session.
    """
    os.setsid()
    for number in _STOPPING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    output, for_command = os.pipe()
    feeder, rest, words, ended = -1, memoryview(content), b"", None
    try:
        become_subreaper()
        settings: dict[str, t.Any] = {"cwd": "/", "env": environment, "start_new_session": True}
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=for_command, stderr=for_command, **settings)
        while child.poll() is None and time.monotonic() < deadline:
            if rest and feeder < 0:
                with contextlib.suppress(OSError):  # nobody reads yet
                    feeder = os.open(command[3][1:], os.O_WRONLY | os.O_NONBLOCK)
            reading, writing = select.select([control, output], [feeder] if rest and feeder >= 0 else [], [], _POLL)[:2]
            if control in reading:
                break
            if output in reading:
                words = (words + os.read(output, 1 << 16))[-(1 << 16) :]
            if writing:
                try:
                    rest = rest[os.write(feeder, rest[:4096]) :]
                except OSError:
                    rest = rest[:0]
                if not rest:
                    os.close(feeder)
        ended = child.returncode if child.returncode is not None else DEADLINE
    except OSError:
        ended = CANNOT_START
    finally:
        end_descendants()
    os.close(for_command)
    os.set_blocking(output, False)
    with contextlib.suppress(OSError):
        words += os.read(output, 1 << 20)
    return {"ended": ended, "words": words.decode("utf-8", "replace"), "receipt": read_receipt(environment["HOME"])}


def read_receipt(folder: str) -> t.Any:
    """What the playbook wrote, None if it is not there or not readable."""
    try:
        descriptor = os.open(os.path.join(folder, "receipt.json"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, encoding="utf-8") as file:
            return json.loads(file.read(_LARGEST_RECEIPT)) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except (OSError, ValueError):
        return None


def judge(answer: dict[str, t.Any], expected: dict[str, t.Any]) -> dict[str, t.Any]:
    """The receipt, if it says that all is done. expected: what must stand in it. Else raises Failure: how it ended."""
    ended, words, receipt = (answer.get(name) for name in ("ended", "words", "receipt"))
    if ended == CANNOT_START:
        raise Failure("environment", "ansible-playbook cannot be started.")
    if not isinstance(ended, int):
        what = "The deadline passed, and" if ended == DEADLINE else "The process that watches it was ended, so"
        raise Failure("unknown_outcome", f"{what} ansible-playbook was killed. {UNKNOWN}")
    if not isinstance(receipt, dict) or any(receipt.get(name) != value for name, value in expected.items()):
        raise Failure("no_receipt", f"ansible-playbook ended with {ended} and without a receipt. {last_words(words)}")
    module, error = safe(str(receipt.get("module"))), receipt.get("error_code")
    if not expected["explain"] and (receipt.get("done") is not True or error):
        text = receipt.get("msg") or f"The playbook did not finish the rotation; ansible-playbook ended with {ended}."
        raise Failure(error if error in EXIT_CODES else "no_receipt", str(text), module)
    if ended != 0:
        text = f"The password is in force, but the playbook ended with {ended} after that. {last_words(words)}"
        raise Failure("unknown_outcome", text, module)
    return {**receipt, "module": module}


def last_words(words: t.Any) -> str:
    """The last line in which Ansible names an error; since 2.19 those of tasks stand on stdout."""
    lines = [line for line in str(words).splitlines() if re.match(r"\[?ERROR", line)]
    return lines[-1] if lines else UNKNOWN


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> t.NoReturn:
        raise Failure("invalid_input", f"{message}; see --help.")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(prog="post_rotation.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modules = f"one of {', '.join(MODULES)}; default: the field rotation_module, else a title of Keeper's guides"
    where = "holds the collection in collections/, or is its root or its playbooks/ (or KEYTURN_PLAYBOOK_DIR)"
    folder, program = (os.environ.get(f"KEYTURN_{name}") for name in ("PLAYBOOK_DIR", "ANSIBLE_PLAYBOOK"))
    add = parser.add_argument
    add("module", nargs="?", choices=MODULES, metavar="MODULE", help=modules)
    add("--playbook", metavar="FILE", help=f"your own playbook instead of {PLAYBOOK}")
    add("--playbook-dir", metavar="DIR", default=folder, help=where)
    add("--ansible-playbook", metavar="PATH", default=program, help="the program (or KEYTURN_ANSIBLE_PLAYBOOK)")
    add("--keeper-config-file", metavar="FILE", help=f"for {MODULES[-1]}: a KSM configuration (or KSM_CONFIG_FILE)")
    add("--timeout", type=float, default=300.0, metavar="SECONDS", help="for everything; default 300")
    add("--check", action="store_true", help="do everything up to the write; ends with 7")
    add("--explain", action="store_true", help="show, without values, what was understood; ends with 7")
    add("--version", action="version", version=f"post_rotation.py {VERSION}")
    options = parser.parse_args(arguments)
    if not 1 <= options.timeout <= 86400:
        parser.error("--timeout must be between 1 and 86400 seconds")
    return options


def stop(number: int, _frame: t.Any) -> t.NoReturn:
    raise Stopped(signal.Signals(number).name)


def rotate(options: argparse.Namespace, payload: dict[str, t.Any], run_id: str, deadline: float) -> tuple[str, int]:
    """Run the playbook; returns what became of it in a few words, and the exit code. Raises Failure."""
    ansible, collection = find_ansible(options.ansible_playbook), find_collection(options.playbook_dir)
    expected = {"run_id": run_id, "check_mode": options.check, "explain": options.explain}
    expected.update({"module": options.module} if options.module else {})
    become_subreaper()
    with private_folder(collection) as folder:
        command = [ansible, find_playbook(options), "-e", f"@{folder}/variables.json", *["--check"] * options.check]
        # As one text that is no template, so that braces in a password survive.
        text = {"__ansible_unsafe": json.dumps(payload)}
        given = {**expected, "module": options.module or "", "receipt": f"{folder}/receipt.json", "payload": text}
        content = json.dumps({"keyturn_gateway": given}).encode()
        environment = environment_for(folder, collection, options.keeper_config_file)
        receipt = judge(
            supervise(lambda control: watch(command, environment, content, deadline, control), folder), expected
        )
    found = f"ansible-playbook={ansible} collection={collection} playbook={command[1]}"
    if options.explain:
        return "\n".join([*(one_line(str(line), payload) for line in receipt.get("lines") or []), found]), ONLY_LOOKED
    done = ["would change" if options.check else "changed"] if receipt.get("changed") else ["unchanged"]
    done.append("verified" if receipt.get("verified") else f"not verified ({receipt.get('verify_skipped_reason')})")
    head = f"{'CHECK' if options.check else 'OK'} module={safe(receipt['module'])} uid={safe(payload['userRecordUid'])}"
    return f"ROTATE {head} run={run_id}: {', '.join(done)}; {found}", ONLY_LOOKED if options.check else 0


def main(arguments: list[str] | None = None) -> int:
    # A descriptor that was closed must not become that of a pipe or a file.
    while os.open(os.devnull, os.O_RDWR) < 3:
        pass
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in _STOPPING:
        signal.signal(number, stop)
    run_id = uuid.uuid4().hex[:12]
    payload: dict[str, t.Any] = {}
    try:
        options = parse(arguments)
        deadline = time.monotonic() + options.timeout
        payload = read_payload(deadline)
        text, code = rotate(options, payload, run_id, deadline)
        say(1, text)
        return code
    except Failure as caught:
        failure = caught
    except Stopped as stopped:
        failure = Failure("unknown_outcome", f"Stopped by {stopped}. {UNKNOWN}")
    except Exception as error:
        failure = Failure("environment", f"Internal error: {type(error).__name__}. {UNKNOWN}")
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    head = f"ROTATE FAIL code={failure.code} module={failure.module} uid={safe(payload.get('userRecordUid', ''))}"
    say(2, f"{head} run={run_id}: {one_line(failure.text, payload)}")
    return EXIT_CODES[failure.code]


if __name__ == "__main__":
    # Not sys.exit: with PYTHONINSPECT in the environment, Python would go on with a prompt.
    os._exit(main())
