# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make demo``: rotate, run again, kill a run between Snowflake and Keeper, run again, and rotate a key in use.

What is shown is what Ansible reported and what the judge saw: logins through Snowflake's connector with passwords that
Keeper's SDK read. The last line is counted from that.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

from tests.sandbox.processes import kill_tree
from tests.sandbox.scenery import KEY_PLAYBOOK, PLAYBOOK, Entry, Scenery, Stopped, exit_on_signals, private_directory
from tests.sandbox.server import Fault

_LONGEST_RUN = 120
_RECEIPT = re.compile(r"(\d+) rotated, (\d+) recovered, (\d+) not due, (\d+) failed")
_CHANGED = re.compile(r"^localhost +: .*\bchanged=(\d+)", re.MULTILINE)

NEXT = """
Next:
   make demo ARGS=--verbose   the same with all that Ansible says
   make sandbox               such servers to play with: key pairs, an API, Meraki, a fleet, and a look into the vault
   docs/docsite/rst/getting_started.rst   the first rotation of your own
"""
# One field of a table: whether it is as it should be, and what was seen.
Cell = tuple[bool, str]
Verdicts = dict[str, str | None]


class Failed(Exception):
    """The demo cannot go on."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One finished ansible-playbook. changed: how many tasks did; the other numbers are the role's receipt."""

    returncode: int
    output: str
    receipt: str
    rotated: int
    recovered: int
    not_due: int
    failed: int
    changed: int
    seconds: float

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        return self.rotated, self.recovered, self.not_due, self.failed


def marks(encoding: str | None) -> tuple[str, str]:
    """Yes and no, in ASCII where the output knows no better."""
    try:
        "✓✗".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "ok", "NO"
    return "✓", "✗"


def width(text: str) -> int:
    """How many characters of the text are seen."""
    return len(re.sub(r"\x1b\[\d+m", "", text))


class Screen:
    """Standard output: in colour, and with a clock while somebody waits, where it is a terminal."""

    def __init__(self, stream: t.TextIO, environ: t.Mapping[str, str]) -> None:
        self._stream = stream
        self._terminal = stream.isatty() and environ.get("TERM") != "dumb"
        self._colour = self._terminal and not environ.get("NO_COLOR")
        self.yes, self.no = (
            self.painted(mark, code) for mark, code in zip(marks(stream.encoding), ("32", "31"), strict=True)
        )

    def say(self, text: str = "") -> None:
        print(text, file=self._stream, flush=True)

    def painted(self, text: str, code: str) -> str:
        """The text between the terminal's codes for a colour (32 green, 31 red) or for bold (1)."""
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    @contextlib.contextmanager
    def waiting(self) -> t.Iterator[None]:
        """Count the seconds in a line of its own, which is gone afterwards."""
        if not self._terminal:
            yield
            return
        over = threading.Event()
        clock = threading.Thread(target=self._count, args=(over,), daemon=True)
        clock.start()
        try:
            yield
        finally:
            over.set()
            clock.join()

    def _count(self, over: threading.Event) -> None:
        started = time.monotonic()
        while not over.wait(0.5):
            print(f"\r   running, {time.monotonic() - started:.0f} s", end="", file=self._stream, flush=True)
        print("\r\x1b[K", end="", file=self._stream, flush=True)


class Demo:
    """The story on one scenery. problems: what was not as it should be."""

    def __init__(self, scenery: Scenery, *, verbose: bool) -> None:
        self.scenery = scenery
        self.verbose = verbose
        self.problems: list[str] = []
        self.environment = scenery.child_environment()
        self.screen = Screen(sys.stdout, os.environ)
        self._processes: list[subprocess.Popen[str]] = []
        self._judge = self._start([sys.executable, "-m", "tests.sandbox.judge"], stderr=subprocess.DEVNULL)

    # -- processes

    def _start(self, command: list[str], *, stderr: int = subprocess.STDOUT) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command,
            cwd=self.scenery.directory,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            encoding="utf-8",
            # Ctrl-C is for the demo alone, which then ends them.
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def close(self) -> None:
        """Nothing that was started goes on."""
        for process in self._processes:
            if process.poll() is None:
                kill_tree(process.pid)
                process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()

    def judge(self, old_passwords: dict[str, str] | None = None) -> dict[str, Verdicts]:
        """What logs in now, by record."""
        assert self._judge.stdin is not None and self._judge.stdout is not None
        question = {**self.scenery.question(), "old_passwords": old_passwords or {}}
        try:
            self._judge.stdin.write(json.dumps(question) + "\n")
            self._judge.stdin.flush()
        except OSError:
            raise Failed("the judge could not be started (python -m tests.sandbox.judge)") from None
        answer = self._judge.stdout.readline()
        if not answer:
            raise Failed("the judge gave no answer (python -m tests.sandbox.judge)")
        return {verdicts.pop("uid"): verdicts for verdicts in json.loads(answer)}

    def ansible(self, *arguments: str, playbook: str = PLAYBOOK, killed_at: str = "") -> Run:
        """Run the playbook. killed_at: the request after which, before its answer, everything of the run is killed."""
        self.say(f"   $ ansible-playbook {playbook} -e @vars.json" + " \\" * bool(arguments))
        if arguments:
            self.say(f"         {shlex.join(arguments)}")
        started = time.monotonic()
        process = self._start(self.scenery.command(*arguments, playbook=playbook))
        struck = threading.Event()
        if killed_at:

            def strike() -> None:
                kill_tree(process.pid)
                struck.set()

            self.scenery.snowflake.faults.add(Fault(match=killed_at, after=strike))
        try:
            with self.screen.waiting():
                output, _errors = process.communicate(timeout=_LONGEST_RUN)
        except subprocess.TimeoutExpired:
            raise Failed(f"ansible-playbook did not end within {_LONGEST_RUN} s") from None
        seconds = time.monotonic() - started
        receipt, changed = _RECEIPT.search(output), _CHANGED.search(output)
        complete = receipt is not None and changed is not None and process.returncode == 0
        expected = struck.is_set() and process.returncode == -signal.SIGKILL if killed_at else complete
        if self.verbose or not expected:
            self.say(output.strip())
        if not expected:
            wanted = "was to be killed" if killed_at else "was to succeed with a receipt"
            raise Failed(f"ansible-playbook ended with {process.returncode}, and {wanted}")
        numbers = [int(number) for number in receipt.groups()] if receipt else [0, 0, 0, 0]
        return Run(
            returncode=process.returncode,
            output=output,
            receipt=receipt[0] if receipt else "",
            rotated=numbers[0],
            recovered=numbers[1],
            not_due=numbers[2],
            failed=numbers[3],
            changed=int(changed[1]) if changed else 0,
            seconds=seconds,
        )

    # -- words

    def say(self, text: str = "") -> None:
        self.screen.say(text)

    def heading(self, text: str) -> None:
        self.say("\n" + self.screen.painted(text, "1"))

    def expect(self, as_it_should_be: bool, what: str) -> None:
        if not as_it_should_be:
            self.problems.append(what)

    def table(self, head: list[str], rows: list[tuple[str, list[Cell]]]) -> list[bool]:
        """Print the rows; for each whether all its cells are as they should be."""
        lines = [head, *([user, *(f"{self._mark(good)} {text}" for good, text in cells)] for user, cells in rows)]
        widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
        self.say()
        for line in lines:
            cells = (text + " " * (wide - width(text)) for text, wide in zip(line, widths, strict=True))
            self.say(("   " + "   ".join(cells)).rstrip())
        return [all(good for good, _text in cells) for _user, cells in rows]

    def _mark(self, good: bool) -> str:
        return self.screen.yes if good else self.screen.no

    # -- what is looked at

    @property
    def entries(self) -> list[Entry]:
        return self.scenery.entries

    def record_passwords(self) -> dict[str, str]:
        """What the records hold, to be tried later as the old passwords."""
        return {entry.uid: self.scenery.vault.field(entry.uid, "password") or "" for entry in self.entries}

    def _equal(self, entry: Entry) -> Cell:
        same = self.scenery.vault.field(entry.uid, "password") == self.scenery.snowflake.user(entry.user).password
        return same, "equal" if same else "different"

    @staticmethod
    def _login(verdicts: Verdicts, name: str, wanted: str) -> Cell:
        words = {"accepted": "logs in", "refused": "refused", None: "none"}
        seen = verdicts[name]
        return seen == wanted, words.get(seen, f"error {seen}")

    @staticmethod
    def _nothing_pending(verdicts: Verdicts) -> Cell:
        return verdicts["pending"] is None, "nothing" if verdicts["pending"] is None else "a password"

    def settled(self, old_passwords: dict[str, str], entries: list[Entry]) -> int:
        """Show that these users have new passwords, and Keeper the same; how many it is true of."""
        verdicts = self.judge(old_passwords)
        rows = [
            (
                entry.user,
                [
                    self._login(verdicts[entry.uid], "old_password", "refused"),
                    self._login(verdicts[entry.uid], "password", "accepted"),
                    self._equal(entry),
                    self._nothing_pending(verdicts[entry.uid]),
                ],
            )
            for entry in entries
        ]
        return sum(
            self.table(["user", "old password", "new password, from Keeper", "Keeper = Snowflake", "pending"], rows)
        )

    # -- the story

    def play(self) -> str:
        """All of it; returns the summary."""
        rotated = self.rotate()
        changed = self.run_again()
        recovered = self.kill_and_recover()
        self.rotate_key()
        for error in self.scenery.errors:
            self.problems.append(f"a bug of the sandbox: {type(error).__name__}")
        return f"{rotated} rotated, {changed} changed on re-run, {recovered} recovered after SIGKILL"

    def introduce(self) -> None:
        snowflake, vault = self.scenery.snowflake, self.scenery.vault
        self.say("A rotation from beginning to end, against servers on this machine that live as long as the demo.")
        self.say()
        self.say(f"   Snowflake   http://{snowflake.host}:{snowflake.port}   users {', '.join(self._users())}")
        self.say(f"   Keeper      https://{vault.hostname}  a PAM User record for each of them")
        self.say("   Clients     ansible-playbook, Snowflake's connector and Keeper's SDK, all unmodified")

    def _users(self) -> list[str]:
        return [entry.user for entry in self.entries]

    def rotate(self) -> int:
        self.heading("1. Rotate the passwords of all three")
        old = self.record_passwords()
        before = self.judge()
        self.expect(
            all(verdicts["password"] == "accepted" for verdicts in before.values()), "the first passwords log in"
        )
        run = self.ansible()
        self.say(f"   {run.receipt} ({run.seconds:.1f} s)")
        rotated = self.settled(old, self.entries)
        self.expect(run.numbers == (3, 0, 0, 0) and rotated == 3, "the first run rotates three users")
        return min(rotated, run.rotated)

    def run_again(self) -> int:
        self.heading("2. Run the same command again: no password is older than 30 days, so nothing is to be done")
        before = self.record_passwords()
        run = self.ansible()
        self.say(f"   {run.receipt}; {run.changed} changed ({run.seconds:.1f} s)")
        same = before == self.record_passwords()
        self.expect(run.numbers == (0, 0, 3, 0) and run.changed == 0 and same, "the second run changes nothing")
        return run.changed

    def kill_and_recover(self) -> int:
        victim = self.entries[1]
        self.heading(
            f"3. Rotate {victim.user} ahead of time, and kill the run with SIGKILL: Snowflake has just taken the new\n"
            "   password, and Keeper has not heard of it"
        )
        old = self.record_passwords()
        chosen = json.dumps({"snowflake_user_password_records": [victim.title], "snowflake_user_password_force": True})
        self.ansible("-e", chosen, killed_at=f"^ALTER USER {victim.user} SET PASSWORD")
        self.say("   killed, with all its processes, before Snowflake's answer arrived")
        verdicts = self.judge()[victim.uid]
        cells = [self._login(verdicts, "password", "refused"), self._login(verdicts, "pending", "accepted")]
        (as_told,) = self.table(["user", "password field in Keeper", "pending field in Keeper"], [(victim.user, cells)])
        self.expect(as_told, "after the kill, the live password is Keeper's pending one")

        self.heading("4. Run the usual command again, as cron would: it finishes what was begun")
        run = self.ansible()
        self.say(f"   {run.receipt} ({run.seconds:.1f} s)")
        recovered = self.settled(old, [victim])
        others = self.judge()
        untouched = all(
            others[entry.uid]["password"] == "accepted" and others[entry.uid]["pending"] is None
            for entry in self.entries
        )
        self.expect(untouched, "all three records hold the live password at the end, and nothing is pending")
        self.expect(run.numbers == (0, 1, 2, 0) and recovered == 1, "the run after the kill recovers one user")
        return min(recovered, run.recovered)

    def rotate_key(self) -> None:
        entry = self.scenery.key_entry
        self.heading(f"5. Rotate the key of {entry.user}, while a client keeps logging in with the old one")
        client = self._key_client()
        self._hear(client, "ready")
        run = self.ansible(playbook=KEY_PLAYBOOK)
        old = self._count(client)
        client = self._key_client()
        self._hear(client, "ready")
        new = self._count(client)
        self.say(f"   {run.receipt} ({run.seconds:.1f} s)")
        pending = any(
            field.get("label") == "rotation_pending" and field["value"]
            for field in self.scenery.vault.record(entry.uid)["custom"]
        )
        cells: list[Cell] = [
            (old["refused"] == 0, f"{old['accepted']} logins, {old['refused']} refused"),
            (new["refused"] == 0, "logs in" if new["refused"] == 0 else "refused"),
            (not pending, "a key" if pending else "nothing"),
        ]
        (settled,) = self.table(
            ["user", "old key, all the while", "new key, from Keeper", "pending"], [(entry.user, cells)]
        )
        self.expect(run.numbers == (1, 0, 0, 0) and settled, "the key rotates without a refused login")

    def _key_client(self) -> subprocess.Popen[str]:
        """A client that reads the key from the record now, and logs in with it until it is counted."""
        client = self._start([sys.executable, "-m", "tests.sandbox.steady_client"], stderr=subprocess.DEVNULL)
        assert client.stdin is not None
        question = {**self.scenery.question(), "record": self.scenery.key_entry.uid}
        client.stdin.write(json.dumps(question) + "\n")
        client.stdin.flush()
        return client

    @staticmethod
    def _hear(client: subprocess.Popen[str], wanted: str) -> None:
        assert client.stdout is not None
        if client.stdout.readline().strip() != wanted:
            raise Failed("the client with the key could not be started (python -m tests.sandbox.steady_client)")

    @staticmethod
    def _count(client: subprocess.Popen[str]) -> dict[str, int]:
        """End the client; how many of its logins were accepted and refused."""
        assert client.stdin is not None and client.stdout is not None
        client.stdin.close()
        counts: dict[str, int] = json.loads(client.stdout.readline())
        client.wait()
        return counts


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.demo", description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="show Ansible's output, too")
    parser.add_argument("--collections", type=Path, help="use the collections that are installed there")
    options = parser.parse_args(arguments)
    exit_on_signals()
    started = time.monotonic()
    try:
        with private_directory() as directory, Scenery(directory, collections=options.collections) as scenery:
            demo = Demo(scenery, verbose=options.verbose)
            with contextlib.closing(demo):
                demo.introduce()
                summary = demo.play()
    except Failed as failure:
        print(f"\nThe demo failed: {failure}. Everything is stopped and removed.", flush=True)
        return 1
    except Stopped:
        print("\nInterrupted. Everything is stopped and removed.", flush=True)
        raise
    for problem in demo.problems:
        demo.say(f"\nNot as it should be. Expected: {problem}.")
    demo.say(f"\nEverything is stopped and removed after {time.monotonic() - started:.0f} s.")
    demo.say(NEXT)
    demo.say(demo.screen.painted(summary, "31" if demo.problems else "32"))
    return 1 if demo.problems else 0


if __name__ == "__main__":
    sys.exit(main())
