# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's logic in this process, much cheaper than the front door, and a user's keys as others would see them."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.key_options import SPEC
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.snowflake_user_keypair import run
from tests.integration.keys import pem, public
from tests.integration.support import Decide
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox

MODULE = "snowflake_user_keypair"

Answer = dict[str, t.Any]

WRONG_KEY = 394304


def slots(snowflake: SnowflakeSandbox, name: str = "ETL") -> list[str | None]:
    user = snowflake.user(name)
    return [user.rsa_public_key_fp, user.rsa_public_key_2_fp]


def fill(snowflake: SnowflakeSandbox, first: str | None, second: str | None = None, name: str = "ETL") -> None:
    """Put keys into the slots of a user, as another administrator would have done an hour and half an hour ago."""
    user, now = snowflake.user(name), snowflake.account.clock()
    user.rsa_public_key = public(first) if first else None
    user.rsa_public_key_2 = public(second) if second else None
    user.rsa_public_key_last_set_time = now - dt.timedelta(hours=1) if first else None
    user.rsa_public_key_2_last_set_time = now - dt.timedelta(minutes=30) if second else None


def writes(snowflake: SnowflakeSandbox) -> list[str]:
    return snowflake.journal.labels("^ALTER ")


def proofs(snowflake: SnowflakeSandbox, name: str = "ETL") -> list[str]:
    return [code for login, method, code in snowflake.logins if login == name and method == "key_pair"]


@pytest.fixture
def decide(decider: t.Callable[..., Decide]) -> Decide:
    return decider(SPEC, run, name="etl")


@pytest.fixture
def etl(snowflake: SnowflakeSandbox) -> SnowflakeSandbox:
    """The account with the service user ETL, which has no key yet."""
    snowflake.add_user("ETL", type="SERVICE")
    return snowflake


def weak(kind: str) -> dict[str, str]:
    return {"private_key": pem("weak", kind)}


# Which of us gives up first depends on the machine. If it is the connector, the statement is over, and the look
# decides; one that we stopped waiting for is under way: it may still take effect after we have looked.
OVER, UNDER_WAY = "unreachable", "unknown_outcome"


def lose(snowflake: SnowflakeSandbox, label: str, how: str, side: str, *, times: int = 99) -> None:
    options: dict[str, t.Any] = {how: side}
    snowflake.faults.add(Fault(label, times=times, **options))
