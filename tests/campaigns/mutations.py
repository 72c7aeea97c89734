# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does a test notice when a promise is broken? Each mutation breaks one on purpose, in a copy of the checkout.

The narrowest tests that should notice run without any mutation first, and must pass; then with each, and must fail.
Prints a line for each and caught / total; ends with 1 if one survives. A mutation whose text is not found is an error.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
IN_COLLECTIONS = Path("ansible_collections", "keyturn", "credentials")
KEEPER_COLLECTION = Path("ansible_collections", "keepersecurity")
_LONGEST = 600
_FAILED = 1

UTILS = "plugins/module_utils"
UNIT = "tests/unit/plugins/module_utils"
PLAN = f"{UTILS}/_keeper/rotation_plan.py"
VAULT = f"{UTILS}/_keeper/keeper_rotation.py"
VAULT_FACTS = f"{UTILS}/_keeper/rotation_facts.py"
HTTP = f"{UTILS}/_core/transport.py"
SECRETS = f"{UTILS}/_core/secrets.py"
MODULE = f"{UTILS}/_core/module.py"
KEY_PLAN = f"{UTILS}/_snowflake/key_plan.py"
KEYS = f"{UTILS}/_snowflake/snowflake_user_keypair.py"
PASSWORDS = f"{UTILS}/_snowflake/snowflake_user_password.py"
REST_ANSWERS = f"{UTILS}/_rest/answers.py"
TOKENS = f"{UTILS}/_rotation/token_plan.py"
FATE = "plugins/plugin_utils/_fate.py"
ORDER = "plugins/plugin_utils/_rotate.py"
CENSOR = "plugins/plugin_utils/_censor.py"
GATEWAY = "extensions/keeper_gateway/post_rotation.py"

VAULT_TESTS = (f"{UNIT}/_keeper",)
RECORD_TESTS = (f"{UNIT}/_keeper/test_record.py",)
FATE_TESTS = ("tests/unit/plugins/plugin_utils/test_fate.py",)
ORDER_TESTS = ("tests/unit/plugins/plugin_utils/test_rotate.py",)
HTTP_TESTS = (f"{UNIT}/_core/test_transport.py",)
MODULE_TESTS = (f"{UNIT}/_core/test_module.py",)
SECRETS_TESTS = (f"{UNIT}/_core/test_secrets.py",)
IN_PROCESS = "plugins/plugin_utils/_in_process.py"
IN_PROCESS_TESTS = ("tests/unit/plugins/plugin_utils/test_in_process.py",)
CENSOR_TESTS = ("tests/unit/plugins/plugin_utils/test_censor.py",)
GATEWAY_TESTS = ("tests/unit/extensions/keeper_gateway/test_post_rotation.py",)
KEY_TESTS = (f"{UNIT}/_snowflake/test_key_plan.py",)
KEY_RUNS = ("tests/integration/snowflake_user_keypair",)
PASSWORD_TESTS = (f"{UNIT}/_snowflake/test_password_plan.py", f"{UNIT}/_snowflake/test_snowflake_user_password.py")
PASSWORD_RUNS = ("tests/integration/snowflake_user_password",)
REST_TESTS = (f"{UNIT}/_rest",)
TOKEN_TESTS = (f"{UNIT}/_rotation/test_tokens.py",)
MERAKI_TESTS = (f"{UNIT}/_meraki/test_user.py",)
MERAKI_RUNS = ("tests/integration/test_meraki_vpn_user_password.py",)


@dataclasses.dataclass(frozen=True)
class Mutation:
    """What it breaks, where, and who should notice. old: stands exactly once in the file."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS = (
    # -- the vault's half
    Mutation(
        "regenerate while pending",
        PLAN,
        "return Adopt() if pending is not None else Stage()",
        "return Stage()",
        VAULT_TESTS,
    ),
    Mutation(
        "no read-back",
        VAULT,
        "if self._is_there(state.wrote, state.record.data, record.data):",
        "if True:",
        VAULT_TESTS,
    ),
    Mutation("stale write", VAULT, "_STALE = 2.0", "_STALE = 2e9", VAULT_TESTS),
    Mutation(
        "commit what another run has taken over",
        PLAN,
        "if mark is not None and options.rotation_id not in (None, mark.rotation_id):",
        "if False:",
        VAULT_TESTS,
    ),
    Mutation(
        "commit with nothing pending",
        PLAN,
        'if options.target == "committed" and (last is None or last != options.rotation_id):',
        "if False:",
        VAULT_TESTS,
    ),
    Mutation(
        "no lease",
        PLAN,
        "abs(now - mark.started) < options.lease",
        "abs(now - mark.started) < options.lease * 0",
        VAULT_TESTS,
    ),
    Mutation(
        "write to a read-only record",
        PLAN,
        "if step is not None and not state.record.editable:",
        "if False:",
        VAULT_TESTS,
    ),
    Mutation(
        "label match by type only",
        f"{UTILS}/_keeper/record.py",
        "named, others = _candidates(data, {plain(label) for label in labels}, kind, types)",
        "named, others = _candidates(data, set(), kind or 'text', types)",
        RECORD_TESTS,
    ),
    # -- what becomes of a record
    Mutation("commit before apply", FATE, 'return "keep"\n    fresh', 'return "commit"\n    fresh', FATE_TESTS),
    Mutation(
        "commit before apply",
        ORDER,
        "if users := role.users(run.staged, among=run.found):",
        "if users := []:",
        ORDER_TESTS,
    ),
    Mutation("mint and do not save", ORDER, "if minted := run.minted():", "if minted := {}:", ORDER_TESTS),
    Mutation("lose a token", ORDER, "if users := role.users(run.lost):", "if users := []:", ORDER_TESTS),
    Mutation("revoke what may be used", PLAN, "and given.secret not in held", "", VAULT_TESTS),
    Mutation(
        "revoke what may arrive", VAULT_FACTS, "not (state.unseen or state.late)", "not state.unseen", VAULT_TESTS
    ),
    Mutation(
        "quote a token",
        ORDER,
        'scrub_all(service(users, check_mode=False), [each["secret"] for each in minted.values()])',
        "service(users, check_mode=False)",
        ORDER_TESTS,
    ),
    Mutation("revoke in doubt", FATE, "and all(each.get(uid", "and any(each.get(uid", ORDER_TESTS),
    Mutation("give up a commit", ORDER, "_AGAIN = (5, 5)", "_AGAIN = ()", ORDER_TESTS),
    Mutation(
        "discard what a service may have taken",
        FATE,
        ' and outcome.get("left") != "unknown"',
        "",
        FATE_TESTS,
    ),
    Mutation(
        "discard after an unclear end",
        FATE,
        'refused = outcome["error_code"] in _DEFINITE and',
        "refused =",
        FATE_TESTS,
    ),
    Mutation(
        "discard what an earlier run may have set",
        FATE,
        'outcome.get("in_force") is False or (fresh and not outcome["changed"])',
        "True",
        FATE_TESTS,
    ),
    Mutation(
        "rotate one user from two records", FATE, "if same and not ends and not self.mints:", "if False:", FATE_TESTS
    ),
    # -- HTTP
    Mutation(
        "follow redirects",
        HTTP,
        "allow_redirects=False,",
        "allow_redirects=not vars(self._session).pop('get_redirect_target', None),",
        HTTP_TESTS,
    ),
    Mutation("retry a write on 500", HTTP, 'or (repeat == "same" and status >= 500)', "or status >= 500", HTTP_TESTS),
    Mutation(
        "retry a write after a lost answer",
        HTTP,
        '(error.unsent or repeat in ("read", "same"))',
        "True",
        HTTP_TESTS,
    ),
    Mutation("a write once more", HTTP, 'if repeat == "never" or not passing', "if not passing", HTTP_TESTS),
    Mutation(
        "proxies and .netrc of the environment",
        HTTP,
        "session.trust_env = False",
        "session.trust_env = True",
        HTTP_TESTS,
    ),
    Mutation("no check of certificates", HTTP, "if self._wire.validate_certs else False", "and False", HTTP_TESTS),
    # -- secrets
    Mutation(
        "no scrubber for failures",
        MODULE,
        '"msg": secrets.scrub(in_words(error.msg, error.left, error.advice), known)',
        '"msg": error.msg',
        MODULE_TESTS,
    ),
    Mutation(
        "no scrubber for results",
        MODULE,
        'result = secrets.scrub_all({**result, "invocation": {"module_args": module.params}}, known)',
        "pass",
        MODULE_TESTS,
    ),
    Mutation(
        "nothing left to mask for Ansible",
        MODULE,
        "secrets.found_in(told, module.no_log_values)",
        "set()",
        MODULE_TESTS,
    ),
    Mutation("print an exception", MODULE, "{type(error).__name__}. Please", "{error}. Please", MODULE_TESTS),
    Mutation("run with ANSIBLE_DEBUG", MODULE, "        _refuse_leaky_settings(module)\n", "", MODULE_TESTS),
    Mutation("base64 is not scrubbed", SECRETS, "*_base64_cores(raw), ", "", SECRETS_TESTS),
    Mutation("lines of a PEM are not scrubbed", SECRETS, ", *_pem_parts(secret)}", "}", SECRETS_TESTS),
    Mutation(
        "show the entries of a list",
        CENSOR,
        '        entry["_ansible_no_log"] = True',
        "        pass",
        CENSOR_TESTS,
    ),
    Mutation(
        "leave a folder behind",
        IN_PROCESS,
        "            atexit._run_exitfuncs()\n",
        "",
        IN_PROCESS_TESTS,
    ),
    Mutation(
        "import the connector before a fork",
        IN_PROCESS,
        "for instead in _INSTEAD.get(name, (name,)):",
        "for instead in (name,):",
        IN_PROCESS_TESTS,
    ),
    Mutation("print a body", REST_ANSWERS, "scrubber.foreign(text, _LONGEST_TEXT)", "text", REST_TESTS),
    # -- the gateway
    Mutation(
        "exit 0 without receipt",
        GATEWAY,
        'raise Failure("no_receipt", f"ansible-playbook ended',
        'return {**expected, "module": ""} or print(f"',
        GATEWAY_TESTS,
    ),
    Mutation(
        "exit 0 although it is not done",
        GATEWAY,
        '(receipt.get("done") is not True or error)',
        "error",
        GATEWAY_TESTS,
    ),
    Mutation("exit 0 although the playbook failed", GATEWAY, "    if ended != 0:\n", "    if False:\n", GATEWAY_TESTS),
    # -- Snowflake
    Mutation(
        "evict the slot in use",
        KEY_PLAN,
        "other = second if in_use == first.fingerprint else first",
        "other = first if in_use == first.fingerprint else second",
        KEY_TESTS,
    ),
    Mutation(
        "evict the administrator's own key",
        KEY_PLAN,
        "        if other.fingerprint != admin:\n",
        "        if True:\n",
        KEY_TESTS,
    ),
    Mutation(
        "retire before proof",
        KEY_PLAN,
        ' or state.login is None or state.login.verdict != "accepted":',
        ":",
        KEY_TESTS,
    ),
    Mutation(
        "retire at once",
        KEY_PLAN,
        "now - since >= options.retire_after",
        "now >= since",
        KEY_TESTS,
    ),
    Mutation(
        "retire what another run has placed",
        KEYS,
        "if (overwritten(now, step), slot_of(now)) != (overwritten(state, step), slot_of(state)):",
        "if False:",
        (*KEY_RUNS, "-k", "another_run"),
    ),
    Mutation(
        "a refused key is proved",
        KEYS,
        '        if answer.verdict == "rejected":\n',
        "        if False:\n",
        (*KEY_RUNS, "-k", "a_proof_that_fails"),
    ),
    Mutation(
        "probe twice",
        PASSWORDS,
        "if item.recovered and state.probe is not None and not state.probe.right:",
        "if False:",
        (*PASSWORD_TESTS, *PASSWORD_RUNS, "-k", "recovered or strike"),
    ),
    Mutation(
        "look once where a change may still arrive",
        PASSWORDS,
        "if moved is False and answer is not None and answer.right:",
        "if False:",
        (*PASSWORD_RUNS, "-k", "arrives_between"),
    ),
    Mutation(
        "unknown = rejected",
        f"{UTILS}/_snowflake/answers.py",
        'return LoginAnswer("unknown", "other", errno)',
        'return LoginAnswer("rejected", "other", errno)',
        (f"{UNIT}/_snowflake/test_answers.py",),
    ),
    Mutation(
        "verified without a session",
        PASSWORDS,
        'state.login is not None and state.login.verdict == "accepted"',
        "state.login is not None",
        (*PASSWORD_TESTS, *PASSWORD_RUNS, "-k", "blocked or mfa or not_proved or unproved or verified or answer"),
    ),
    Mutation(
        "a password for a service user",
        f"{UTILS}/_snowflake/password_plan.py",
        'in ("SERVICE", "SERVICE_AGENT")',
        "in ()",
        PASSWORD_TESTS,
    ),
    Mutation(
        "a quote ends an SQL literal",
        f"{UTILS}/_snowflake/sql.py",
        """.replace("\\\\", "\\\\\\\\").replace("'", "''")""",
        """.replace("\\\\", "\\\\\\\\")""",
        (f"{UNIT}/_snowflake/test_sql.py",),
    ),
    # -- REST
    Mutation(
        "an error of the server is a rejected login",
        REST_ANSWERS,
        'if answer.status >= 500 or answer.status == 429:\n        return "unknown"',
        'if answer.status >= 500 or answer.status == 429:\n        return "rejected"',
        REST_TESTS,
    ),
    Mutation(
        "no login with a wrong password",
        f"{UTILS}/_rest/plan.py",
        "if state.control is None or state.control.tells_apart:",
        "if True:",
        REST_TESTS,
    ),
    Mutation(
        "change without knowing what is in force",
        f"{UTILS}/_rest/plan.py",
        "        raise _unknown_before(item, state.probe)\n",
        "        return True\n",
        REST_TESTS,
    ),
    Mutation(
        "one connection for logins at the same time",
        HTTP,
        "self._free.pop() if self._free else Http(self._wire)",
        "self._free[0]",
        HTTP_TESTS,
    ),
    Mutation(
        "roll-backs at the same time",
        f"{UTILS}/_rest/client.py",
        "        with self._one_at_a_time:",
        "        with contextlib.nullcontext():",
        REST_TESTS,
    ),
    Mutation(
        "what is asked at the same time is told as it comes",
        f"{UTILS}/_rest/trace.py",
        "lambda told: told[0] in places",
        "lambda told: False",
        REST_TESTS,
    ),
    # -- Meraki
    Mutation(
        "one of two namesakes",
        f"{UTILS}/_meraki/user.py",
        "    if len(found) > 1:\n",
        "    if False:\n",
        MERAKI_TESTS,
    ),
    Mutation(
        "a 200 that names nobody",
        f"{UTILS}/_meraki/client.py",
        "if answer.status == 200 and _names(answer, user):",
        "if answer.status == 200:",
        (*MERAKI_RUNS, "-k", "name or 200 or foreign or answer"),
    ),
    # -- tokens
    Mutation(
        "mint twice",
        TOKENS,
        "    if state.secret is not None:\n        return []\n",
        "",
        TOKEN_TESTS,
    ),
    Mutation(
        "retire a token before proof",
        TOKENS,
        "return accepted and options.verify",
        "return options.verify",
        TOKEN_TESTS,
    ),
    Mutation(
        "revoke what this collection did not make",
        TOKENS,
        "    return unfinished and item.known is not None and token.name not in item.known\n",
        "    return True\n",
        TOKEN_TESTS,
    ),
)


class NotFound(Exception):
    """A mutation is out of date."""


def copied(target: Path) -> Path:
    """A copy of what git knows, which finds itself under its collection's name; returns its root."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True, cwd=REPOSITORY, text=True)
    root = target / IN_COLLECTIONS
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, root / name)
    (root / ".cache").mkdir()
    (root / ".cache" / "collections").symlink_to(target)
    keeper = REPOSITORY / ".cache" / "collections" / KEEPER_COLLECTION
    (target / KEEPER_COLLECTION).symlink_to(keeper.resolve())
    return root


def run(root: Path, arguments: tuple[str, ...], *more: str) -> tuple[int, str]:
    """pytest's exit code, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *more, *arguments],
        cwd=root,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(root / ".cache" / "collections"),
            "PYTHONPATH": str(root),
            # A mutation may have the length and the second of what it replaces.
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST,
    )
    return done.returncode, done.stdout + done.stderr


def mutated(text: str, mutation: Mutation) -> str:
    """Raises NotFound where the text is not there, or more than once."""
    if text.count(mutation.old) != 1:
        raise NotFound(f"{mutation.name}: its text stands {text.count(mutation.old)} times in {mutation.file}.")
    return text.replace(mutation.old, mutation.new)


def judge(root: Path, mutation: Mutation) -> str:
    """Caught, SURVIVED, or why it cannot be told."""
    file = root / mutation.file
    before = file.read_text(encoding="utf-8")
    file.write_text(mutated(before, mutation), encoding="utf-8")
    try:
        code, output = run(root, mutation.tests)
    except subprocess.TimeoutExpired:
        return "caught (no end)"
    finally:
        file.write_text(before, encoding="utf-8")
    if code == _FAILED:
        return "caught"
    return "SURVIVED" if code == 0 else f"ERROR: pytest ended with {code}\n{output[-2000:]}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.mutations", description=__doc__)
    parser.add_argument("words", nargs="*", help="only the mutations whose names hold one of these")
    options = parser.parse_args(arguments)
    chosen = [one for one in MUTATIONS if not options.words or any(word in one.name for word in options.words)]
    with tempfile.TemporaryDirectory(prefix="keyturn-") as temporary:
        root = copied(Path(temporary).resolve())
        for one in chosen:
            mutated((root / one.file).read_text(encoding="utf-8"), one)
        for tests in dict.fromkeys(one.tests for one in chosen):
            code, output = run(root, tests)
            if code != 0:
                print(f"Without any mutation, {' '.join(tests)} ended with {code}:\n{output[-2000:]}")
                return 1
        caught = 0
        for one in chosen:
            began = time.monotonic()
            found = judge(root, one)
            caught += found.startswith("caught")
            print(f"{one.name:<44} {one.file:<58} {time.monotonic() - began:5.1f} s  {found}", flush=True)
    print(f"{caught} / {len(chosen)} mutations caught")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
