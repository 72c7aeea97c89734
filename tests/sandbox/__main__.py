# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make sandbox``: the servers with some records, until Ctrl-C or SIGTERM, and what to paste to use them."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import sys
import typing as t
from pathlib import Path

from tests.sandbox.keeper.vault import write_private
from tests.sandbox.scenery import (
    ADMIN,
    ROLE,
    Scenery,
    Stopped,
    exit_on_signals,
    private_directory,
)


def instructions(scenery: Scenery) -> str:
    """What is there and how to rotate it."""
    snowflake, vault = scenery.snowflake, scenery.vault
    known = scenery.records()
    width = max(len(title) for title, _words in known)
    records = [f"  {title:<{width}}  {words}".rstrip() for title, words in known]
    exports = [f"export {name}={shlex.quote(value)}" for name, value in scenery.environment().items()]
    one = json.dumps({"snowflake_user_password_records": [scenery.entries[-1].title]})
    return "\n".join(
        [
            "Snowflake, Meraki, an API and Keeper are up, on this machine only, until Ctrl-C. Then all is removed.",
            "",
            f"  Snowflake  http://{snowflake.host}:{snowflake.port}, account {snowflake.account.name}; "
            f"{ADMIN} has the role {ROLE}, which owns the users",
            f"  Meraki     {scenery.meraki.url}, network {scenery.meraki.network.id}; its users "
            f"{' and '.join(entry.user for entry in scenery.vpn_entries)}",
            f"  API        {scenery.rest.url}; its users {' and '.join(entry.user for entry in scenery.rest_entries)}",
            f"  Keeper     https://{vault.hostname}; client configuration {scenery.keeper_config_file}",
            f"  Passwords  as at the start, by record: {scenery.passwords_file}",
            "",
            "Records",
            *records,
            "",
            "Paste into another terminal, which then trusts only this sandbox:",
            "",
            *exports,
            "",
            *_commands(scenery),
            "",
            f"All that the commands are told is in {scenery.vars_file},",
            f"and the fleet's inventory is {scenery.inventory_file}. Add for example:",
            "  --check",
            "  -e snowflake_user_password_force=true   or for the fleet: -e keyturn_force=true",
            f"  -e {shlex.quote(one)}",
            f"  -e keyturn_report_dir={scenery.directory}/report   for the fleet: its report as HTML, JUnit and JSON",
            "  --secrets   to the command that shows the vault: the secrets themselves",
        ]
    )


def _commands(scenery: Scenery) -> list[str]:
    """Each with a comment, which a shell takes, too."""
    return [
        "# Rotate: key pair and token of Snowflake, password and token of the API, Meraki, passwords of Snowflake",
        *(shlex.join(scenery.command(playbook=f"keyturn.credentials.{kind}")) for kind in scenery.kinds),
        "# Passwords and key pairs as a fleet; nothing is due any more",
        shlex.join(scenery.fleet_command()),
        "# Look into the vault",
        shlex.join(scenery.look_command()),
    ]


@contextlib.contextmanager
def announced(path: Path | None, settings: dict[str, t.Any]) -> t.Iterator[None]:
    """The settings in a 0600 file that appears all at once and goes with the sandbox."""
    if path is None:
        yield
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_private(draft, json.dumps(settings, indent=2) + "\n")
        draft.replace(path)
        yield
    finally:
        draft.unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox", description=__doc__)
    parser.add_argument(
        "--ready-file", type=Path, metavar="PATH", help="write the settings there as JSON as soon as all is up"
    )
    options = parser.parse_args(arguments)
    exit_on_signals()
    try:
        with (
            private_directory() as directory,
            Scenery(directory, special=True) as scenery,
            announced(options.ready_file, scenery.settings()),
        ):
            print(instructions(scenery), flush=True)
            while True:
                signal.pause()
    except Stopped:
        print("\nStopped; everything is removed.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
