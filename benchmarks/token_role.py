# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CPU of one record's rotation: the role of Snowflake tokens against that of Snowflake passwords, rounds interleaved.

``python -m benchmarks.token_role``; both through ansible-playbook and the same local servers.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import tempfile
import typing as t
from pathlib import Path

from benchmarks.measure import rounds, row
from tests.campaigns.token import TokenScene
from tests.integration.conftest import ACCOUNT, ADMIN, fresh_password
from tests.integration.scenes import SnowflakeScene
from tests.integration.support import Run
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.snowflake import SnowflakeSandbox


def main(arguments: t.Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.token_role")
    parser.add_argument("--rounds", type=int, default=7)
    number = parser.parse_args(arguments).rounds
    with contextlib.ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keyturn-bench-"))) for _scene in "PT"]
        snowflake = stack.enter_context(SnowflakeSandbox(account=ACCOUNT))
        snowflake.add_user(ADMIN, password=fresh_password(), default_role="SECURITYADMIN", roles=["SECURITYADMIN"])
        vault = stack.enter_context(KeeperSandbox())
        password = SnowflakeScene(folders[0], snowflake, vault, "P")
        token = TokenScene(folders[1], snowflake, vault, "T", retire_previous_after="0h")

        def rotated(scene: SnowflakeScene | TokenScene, **more: t.Any) -> Run:
            return scene.run(admin_record=scene.admin_uid, **more)

        found = rounds(
            number,
            {
                "password": functools.partial(rotated, password, force=True),
                "token": functools.partial(rotated, token, force=True),
                # Not compared: so that the tokens of former rounds do not fill the account.
                "retired": functools.partial(rotated, token),
            },
        )
    print(row(found, "token", "password", "Snowflake token role, one record", "password role", 1.15).line())


if __name__ == "__main__":
    main()
