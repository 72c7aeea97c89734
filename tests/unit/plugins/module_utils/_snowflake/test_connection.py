# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The administrator's login: options, environment, and what they mean together."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core import keys
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import connection

PASSPHRASE = "open, sesame"


@pytest.fixture(scope="module")
def key() -> t.Any:
    return keys.generate_rsa(2048)


def _params(**given: t.Any) -> dict[str, t.Any]:
    options = connection.CONNECTION_SPEC.options
    return {**{name: option.get("default") for name, option in options.items()}, **given}


def _resolved(environ: dict[str, str] | None = None, **given: t.Any) -> dict[str, t.Any]:
    return connection.with_environment(_params(**given), environ or {})


# -- the environment

PLAIN = {
    "account": "SNOWFLAKE_ACCOUNT",
    "login_user": "SNOWFLAKE_USER",
    "login_role": "SNOWFLAKE_ROLE",
    "login_host": "SNOWFLAKE_HOST",
    "login_port": "SNOWFLAKE_PORT",
    "login_protocol": "SNOWFLAKE_PROTOCOL",
    "login_workload_identity_provider": "SNOWFLAKE_WORKLOAD_IDENTITY_PROVIDER",
    "login_password": "SNOWFLAKE_PASSWORD",
    "login_private_key": "SNOWFLAKE_PRIVATE_KEY_RAW",
    "login_private_key_path": "SNOWFLAKE_PRIVATE_KEY_PATH",
    "login_private_key_passphrase": "PRIVATE_KEY_PASSPHRASE",
    "login_token": "SNOWFLAKE_TOKEN",
}


@pytest.mark.parametrize(("option", "variable"), PLAIN.items())
def test_a_variable_of_snowflakes_cli_stands_in_and_the_option_wins(option: str, variable: str) -> None:
    assert _resolved({variable: "from environment"})[option] == "from environment"
    given: dict[str, t.Any] = {option: "given"}
    assert _resolved({variable: "from environment"}, **given)[option] == "given"
    assert _resolved({variable: ""})[option] is None


SECRETS = ["login_password", "login_private_key", "login_private_key_path", "login_token"]


@pytest.mark.parametrize("option", SECRETS)
def test_a_secret_that_is_given_keeps_those_of_the_environment_out(option: str) -> None:
    environ = {PLAIN[name]: "from environment" for name in SECRETS} | {"SNOWFLAKE_AUTHENTICATOR": "oauth"}
    given: dict[str, t.Any] = {option: "given"}
    resolved = _resolved(environ, **given)
    assert [name for name in SECRETS if resolved[name]] == [option]
    assert resolved["login_authenticator"] is None


@pytest.mark.parametrize(
    ("authenticator", "wanted"),
    [
        ("password", "login_password"),
        ("key_pair", "login_private_key"),
        ("oauth", "login_token"),
        ("programmatic_access_token", "login_token"),
        ("workload_identity", "login_token"),
    ],
)
def test_of_many_secrets_in_the_environment_the_method_takes_its_own(authenticator: str, wanted: str) -> None:
    environ = {PLAIN[name]: "from environment" for name in SECRETS}
    resolved = _resolved(environ, login_authenticator=authenticator)
    assert [name for name in SECRETS if resolved[name]] == [wanted]
    assert connection.authenticator_of(resolved) == authenticator


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("snowflake", "password"),
        ("SNOWFLAKE_JWT", "key_pair"),
        ("OAUTH", "oauth"),
        ("PROGRAMMATIC_ACCESS_TOKEN", "programmatic_access_token"),
        ("workload_identity", "workload_identity"),
    ],
)
def test_the_environments_method_counts_when_its_secret_does(variable: str, expected: str) -> None:
    secret = {"password": "login_password", "key_pair": "login_private_key"}.get(expected, "login_token")
    environ = {"SNOWFLAKE_AUTHENTICATOR": variable, PLAIN[secret]: "from environment"}
    assert connection.authenticator_of(_resolved(environ)) == expected


# -- which method


@pytest.mark.parametrize(
    ("given", "method"),
    [
        ({"login_password": "x"}, "password"),
        ({"login_private_key": "x"}, "key_pair"),
        ({"login_private_key_path": "x"}, "key_pair"),
        ({"login_token": "x", "login_authenticator": "oauth"}, "oauth"),
        ({"login_token": "x", "login_authenticator": "programmatic_access_token"}, "programmatic_access_token"),
        ({"login_authenticator": "workload_identity"}, "workload_identity"),
    ],
)
def test_the_method_is_inferred_where_it_is_clear(given: dict[str, t.Any], method: str) -> None:
    assert connection.authenticator_of(_resolved(**given)) == method


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"login_token": "x"},
        {"login_password": "x", "login_token": "y"},
        {"login_authenticator": "password"},
        {"login_authenticator": "key_pair", "login_password": "x"},
        {"login_authenticator": "oauth", "login_password": "x"},
        {"login_authenticator": "password", "login_password": "x", "login_token": "y"},
        {"login_authenticator": "workload_identity", "login_password": "x"},
    ],
)
def test_the_method_is_never_guessed(given: dict[str, t.Any]) -> None:
    with pytest.raises(InvalidInput) as raised:
        connection.authenticator_of(_resolved(**given))
    assert not raised.value.retry_safe


# -- the connector's arguments


@pytest.mark.parametrize(
    ("given", "credentials"),
    [
        ({"login_password": "x"}, {"password": "x"}),
        ({"login_authenticator": "oauth", "login_token": "x"}, {"authenticator": "OAUTH", "token": "x"}),
        (
            {"login_authenticator": "programmatic_access_token", "login_token": "x"},
            {"authenticator": "PROGRAMMATIC_ACCESS_TOKEN", "token": "x"},
        ),
        (
            {"login_authenticator": "workload_identity", "login_workload_identity_provider": "AWS"},
            {"authenticator": "WORKLOAD_IDENTITY", "workload_identity_provider": "AWS"},
        ),
        (
            {"login_authenticator": "workload_identity", "login_token": "x"},
            {"authenticator": "WORKLOAD_IDENTITY", "workload_identity_provider": "OIDC", "token": "x"},
        ),
    ],
)
def test_credentials_in_the_connectors_words(given: dict[str, t.Any], credentials: dict[str, str]) -> None:
    login = connection.login(_resolved(login_user="ADMIN", login_role="R", **given))
    assert (login.user, login.role, login.credentials) == ("ADMIN", "R", credentials)
    assert "'x'" not in repr(login)


@pytest.mark.parametrize("phrase", [None, PASSPHRASE])
def test_a_key_from_a_text_or_a_file_becomes_plain_der(key: t.Any, tmp_path: pathlib.Path, phrase: str | None) -> None:
    file = tmp_path / "key.p8"
    file.write_text(keys.private_pem(key, phrase))
    for option, value in (("login_private_key", file.read_text()), ("login_private_key_path", str(file))):
        given: dict[str, t.Any] = {option: value, "login_private_key_passphrase": phrase}
        login = connection.login(_resolved(login_user="A", **given))
        assert login.credentials == {"authenticator": "SNOWFLAKE_JWT", "private_key": keys.private_der(key)}
        assert login.key_fingerprint == keys.fingerprint(key)


def test_an_empty_key_does_not_hide_the_path_to_one(key: t.Any, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "key.p8"
    file.write_text(keys.private_pem(key))
    resolved = _resolved({PLAIN["login_private_key_path"]: str(file)}, login_user="A", login_private_key="")
    assert connection.login(resolved).key_fingerprint == keys.fingerprint(key)


@pytest.mark.parametrize("content", [None, b"", b"no key", b"\xff\xfe"])
def test_a_file_that_is_no_key_is_invalid_input(tmp_path: pathlib.Path, content: bytes | None) -> None:
    file = tmp_path / "key.p8"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInput):
        connection.login(_resolved(login_user="A", login_private_key_path=str(file)))


def test_somebody_must_log_in_unless_the_workload_itself_does() -> None:
    with pytest.raises(InvalidInput, match="login_user"):
        connection.login(_resolved(login_password="x"))
    workload: dict[str, t.Any] = {"login_authenticator": "workload_identity", "login_workload_identity_provider": "GCP"}
    assert connection.login(_resolved(**workload)).user is None
    with pytest.raises(InvalidInput, match="login_workload_identity_provider"):
        connection.login(_resolved(login_authenticator="workload_identity"))


def test_a_tag_that_snowflake_would_refuse_is_invalid_input() -> None:
    given: dict[str, t.Any] = {"login_user": "A", "login_password": "x"}
    assert connection.login(_resolved(**given)).query_tag is None
    assert connection.login(_resolved(**given, query_tag="x" * 2000)).query_tag == "x" * 2000
    with pytest.raises(InvalidInput, match="query_tag has 2001 characters"):
        connection.login(_resolved(**given, query_tag="x" * 2001))


# -- the endpoint


def test_only_what_is_given_reaches_the_connector() -> None:
    assert connection.endpoint(_resolved(account="xy12345.eu-west-1")).arguments() == {"account": "xy12345.eu-west-1"}
    everything = _resolved({"SNOWFLAKE_PORT": "8443"}, account="a", login_host="localhost", login_protocol="http")
    assert connection.endpoint(everything).arguments() == {
        "account": "a",
        "host": "localhost",
        "port": 8443,
        "protocol": "http",
    }


@pytest.mark.parametrize(
    "address",
    [
        "xy12345.eu-west-1.snowflakecomputing.com",
        "https://xy12345.eu-west-1.snowflakecomputing.com/",
        "XY12345.eu-west-1.SNOWFLAKECOMPUTING.CN".replace("XY", "xy"),
    ],
)
def test_an_address_of_an_account_is_understood(address: str) -> None:
    assert connection.endpoint(_resolved(account=address)).account == "xy12345.eu-west-1"


def test_an_address_in_china_keeps_its_host() -> None:
    """The connector would ask .com, and show another service the secret."""
    given = "https://myorg-account1.snowflakecomputing.cn/"
    expected = {"account": "myorg-account1", "host": "myorg-account1.snowflakecomputing.cn"}
    assert connection.endpoint(_resolved(account=given)).arguments() == expected
    given_host = connection.endpoint(_resolved(account=given, login_host="private.example.cn"))
    assert given_host.host == "private.example.cn"


def test_a_blank_is_shown() -> None:
    with pytest.raises(InvalidInput, match="' xy12345'"):
        connection.endpoint(_resolved(account=" xy12345"))


@pytest.mark.parametrize("host", [None, "snowflake.example.com"])
def test_secrets_do_not_travel_in_clear(host: str | None) -> None:
    with pytest.raises(InvalidInput, match="loopback"):
        connection.endpoint(_resolved(account="a", login_protocol="http", login_host=host))


def test_the_environment_adds_nothing_to_a_login_that_has_a_secret() -> None:
    """A role, a host or a passphrase that somebody has exported belongs to another login."""
    environ = {
        "SNOWFLAKE_ACCOUNT": "other",
        "SNOWFLAKE_ROLE": "OTHER",
        "SNOWFLAKE_HOST": "other.example.com",
        "SNOWFLAKE_PASSWORD": "other",
        "PRIVATE_KEY_PASSPHRASE": "other",
    }
    given = {name: value for name, value in _resolved(environ, login_password="own").items() if value is not None}
    assert given == {"account": "other", "login_password": "own", "login_timeout": 20}


@pytest.mark.parametrize("account", [None, "", "  ", "a b", "https://x", "a/b", "user@a", "a:1", "a\\b", "a\0"])
def test_what_is_no_account_name_is_refused(account: str | None) -> None:
    with pytest.raises(InvalidInput, match="account"):
        connection.endpoint(_resolved(account=account))


@pytest.mark.parametrize(
    ("given", "environ"),
    [
        ({"login_port": 0}, {}),
        ({"login_port": 65536}, {}),
        ({}, {"SNOWFLAKE_PORT": "https"}),
        ({"login_timeout": 0}, {}),
        ({"login_timeout": 3601}, {}),
        ({}, {"SNOWFLAKE_PROTOCOL": "ftp"}),
    ],
)
def test_numbers_and_words_out_of_range_are_refused(given: dict[str, t.Any], environ: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        connection.endpoint(_resolved(environ, account="a", **given))
