# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""How the administrator logs in: the options shared by all Snowflake modules, and what they mean together."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import keys
from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.url import is_loopback

if t.TYPE_CHECKING:  # pragma: no cover
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

Params = t.Mapping[str, t.Any]

AUTHENTICATORS = ("password", "key_pair", "oauth", "programmatic_access_token", "workload_identity")
# What Snowflake's CLI and connectors write into SNOWFLAKE_AUTHENTICATOR for the same methods.
_CLI_AUTHENTICATORS = {
    "snowflake": "password",
    "snowflake_jwt": "key_pair",
    "oauth": "oauth",
    "programmatic_access_token": "programmatic_access_token",
    "workload_identity": "workload_identity",
}
_SECRETS = ("login_password", "login_private_key", "login_private_key_path", "login_token")
# The environment variables of Snowflake's own CLI. Secrets of the environment are used only if no option gives one.
_ENVIRONMENT = {
    "account": "SNOWFLAKE_ACCOUNT",
    "login_user": "SNOWFLAKE_USER",
    "login_role": "SNOWFLAKE_ROLE",
    "login_host": "SNOWFLAKE_HOST",
    "login_port": "SNOWFLAKE_PORT",
    "login_protocol": "SNOWFLAKE_PROTOCOL",
    "login_workload_identity_provider": "SNOWFLAKE_WORKLOAD_IDENTITY_PROVIDER",
}
_NEEDED_FOR_ALL = ("account", "login_user")
_ENVIRONMENT_SECRETS = {
    "login_password": "SNOWFLAKE_PASSWORD",
    "login_private_key": "SNOWFLAKE_PRIVATE_KEY_RAW",
    "login_private_key_path": "SNOWFLAKE_PRIVATE_KEY_PATH",
    "login_token": "SNOWFLAKE_TOKEN",
}
_NEEDED = {
    "password": ("login_password",),
    "key_pair": ("login_private_key", "login_private_key_path"),
    "oauth": ("login_token",),
    "programmatic_access_token": ("login_token",),
}

_LONGEST_TAG = 2000
# An address of an account, as people copy it from the browser.
_ADDRESS = re.compile(r"(?:https://)?(([^/]+)\.snowflakecomputing\.(com|cn))/?", re.IGNORECASE)

CONNECTION_SPEC = ArgumentSpec(
    options={
        "account": {"type": "str", "no_log": False},
        "login_user": {"type": "str", "no_log": False},
        "login_password": {"type": "str", "no_log": True},
        "login_private_key": {"type": "str", "no_log": True},
        "login_private_key_path": {"type": "path", "no_log": False},
        "login_private_key_passphrase": {"type": "str", "no_log": True},
        "login_token": {"type": "str", "no_log": True},
        "login_authenticator": {"type": "str", "choices": list(AUTHENTICATORS), "no_log": False},
        "login_workload_identity_provider": {
            "type": "str",
            "choices": ["AWS", "AZURE", "GCP", "OIDC"],
            "no_log": False,
        },
        "login_role": {"type": "str", "no_log": False},
        "login_host": {"type": "str", "no_log": False},
        "login_port": {"type": "int", "no_log": False},
        "login_protocol": {"type": "str", "choices": ["https", "http"], "no_log": False},
        "login_timeout": {"type": "int", "default": 20, "no_log": False},
        "query_tag": {"type": "str", "no_log": False},
    },
    mutually_exclusive=[_SECRETS],
)


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where the account is. timeout: seconds, bounds every connection and statement."""

    account: str
    host: str | None
    port: int | None
    protocol: str | None
    timeout: int

    def arguments(self) -> dict[str, t.Any]:
        """The connector's keyword arguments."""
        given = {"account": self.account, "host": self.host, "port": self.port, "protocol": self.protocol}
        return {name: value for name, value in given.items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Login:
    """Who logs in, and with what; C(credentials) are keyword arguments of the connector.

    key_fingerprint: of the administrator's own key, which no rotation may remove. query_tag: of what the session does.
    """

    user: str | None
    role: str | None
    credentials: dict[str, t.Any] = dataclasses.field(repr=False)
    key_fingerprint: str | None = None
    query_tag: str | None = None


def with_environment(params: Params, environ: t.Mapping[str, str]) -> dict[str, t.Any]:
    """The connection options, completed from the environment of Snowflake's CLI; an option always wins.

    A secret that an option gives comes with all that belongs to it: the environment then adds only account and user,
    which the login lacks otherwise, and no role, host or passphrase of another login.
    """
    resolved = {name: params.get(name) for name in CONNECTION_SPEC.options}
    given = any(resolved[name] for name in _SECRETS)
    for name, variable in _ENVIRONMENT.items():
        if resolved[name] is None and (not given or name in _NEEDED_FOR_ALL):
            resolved[name] = environ.get(variable) or None
    if not given:
        resolved.update(_environment_secrets(resolved["login_authenticator"], environ))
        if resolved["login_private_key_passphrase"] is None:
            resolved["login_private_key_passphrase"] = environ.get("PRIVATE_KEY_PASSPHRASE") or None
    return resolved


def _environment_secrets(authenticator: str | None, environ: t.Mapping[str, str]) -> dict[str, str]:
    """The secret that the environment offers for the wanted method, and the method if the environment names one."""
    found = {name: environ[variable] for name, variable in _ENVIRONMENT_SECRETS.items() if environ.get(variable)}
    chosen: dict[str, str] = {}
    if authenticator is None:
        authenticator = _CLI_AUTHENTICATORS.get(environ.get("SNOWFLAKE_AUTHENTICATOR", "").lower())
        if authenticator is not None:
            chosen["login_authenticator"] = authenticator
    wanted = _SECRETS if authenticator is None else _NEEDED.get(authenticator, ("login_token",))
    # A raw key and a path to it are the same key; the one nearer at hand is taken.
    if "login_private_key" in found:
        found.pop("login_private_key_path", None)
    return {**chosen, **{name: value for name, value in found.items() if name in wanted}}


def _account(text: str) -> tuple[str, str | None]:
    """The account identifier, also from the address that Snowflake shows, and its host where that is not C(.com).

    The connector would ask C(.com) for it, and show the secret to another service. Raises InvalidInput.
    """
    address = _ADDRESS.fullmatch(text)
    account = address[2] if address else text
    if not account or any(character.isspace() or character in "/@:\\\0" for character in account):
        raise InvalidInput(
            f"account is {text!r}; it must look like 'myorg-account1' or 'xy12345.eu-west-1', without blanks."
        )
    return account, address[1].lower() if address and address[3].lower() == "cn" else None


def endpoint(resolved: Params) -> Endpoint:
    """Raises InvalidInput without an account, or for numbers out of range."""
    account, host = _account(resolved["account"] or "")
    try:
        port = None if resolved["login_port"] is None else int(resolved["login_port"])
    except ValueError:
        raise InvalidInput("login_port (or SNOWFLAKE_PORT) is not a number.") from None
    if port is not None and not 0 < port < 65536:
        raise InvalidInput("login_port must be between 1 and 65535.")
    timeout = resolved["login_timeout"]
    if not 1 <= timeout <= 3600:
        raise InvalidInput("login_timeout must be between 1 and 3600 seconds.")
    protocol = resolved["login_protocol"]
    if protocol not in (None, "http", "https"):
        raise InvalidInput("login_protocol (or SNOWFLAKE_PROTOCOL) must be https or http.")
    host = resolved["login_host"] or host
    if protocol == "http" and not (host and is_loopback(host)):
        raise InvalidInput(
            "login_protocol is http to a host that is not loopback, where anybody could read the secrets."
        )
    return Endpoint(account=account, host=host, port=port, protocol=protocol, timeout=timeout)


def authenticator_of(resolved: Params) -> str:
    """The wanted method, inferred where one secret makes it clear. Raises InvalidInput where it is not."""
    given = resolved["login_authenticator"]
    secrets = [name for name in _SECRETS if resolved[name]]
    if given is None:
        if len(secrets) > 1:
            raise InvalidInput(
                f"More than one way to log in is given ({', '.join(secrets)}); name login_authenticator."
            )
        if not secrets:
            raise InvalidInput("No way to log in is given: login_password, login_private_key(_path) or login_token.")
        if secrets[0] == "login_token":
            raise InvalidInput(
                "login_token alone is not clear; set login_authenticator to oauth, programmatic_access_token or "
                "workload_identity."
            )
        return "password" if secrets[0] == "login_password" else "key_pair"
    needed = _NEEDED.get(given)
    if needed is not None and not any(resolved[name] for name in needed):
        raise InvalidInput(f"login_authenticator={given} needs {' or '.join(needed)}.")
    foreign = [name for name in secrets if name not in (needed or ("login_token",))]
    if foreign:
        raise InvalidInput(f"login_authenticator={given} does not use {', '.join(foreign)}.")
    return t.cast(str, given)


def login(resolved: Params) -> Login:
    """The administrator's login. Reads the private key's file. Raises InvalidInput for what cannot work."""
    method = authenticator_of(resolved)
    user = resolved["login_user"]
    if not user and method != "workload_identity":
        raise InvalidInput("login_user is missing (or SNOWFLAKE_USER).")
    if user and user != user.strip():
        raise InvalidInput(f"login_user is {user!r}, with a blank at an end.")
    tag = resolved["query_tag"]
    if tag and len(tag) > _LONGEST_TAG:
        raise InvalidInput(f"query_tag has {len(tag)} characters, and Snowflake takes {_LONGEST_TAG}.")
    if method == "key_pair":
        key = _private_key(resolved)
        credentials = {"authenticator": "SNOWFLAKE_JWT", "private_key": keys.private_der(key)}
        return Login(user, resolved["login_role"], credentials, keys.fingerprint(key), tag)
    return Login(user, resolved["login_role"], _credentials(method, resolved), query_tag=tag)


def _credentials(method: str, resolved: Params) -> dict[str, t.Any]:
    if method == "password":
        return {"password": resolved["login_password"]}
    if method == "workload_identity":
        provider = resolved["login_workload_identity_provider"] or ("OIDC" if resolved["login_token"] else None)
        if provider is None:
            raise InvalidInput("login_authenticator=workload_identity needs login_workload_identity_provider.")
        token = {"token": resolved["login_token"]} if resolved["login_token"] else {}
        return {"authenticator": "WORKLOAD_IDENTITY", "workload_identity_provider": provider, **token}
    return {"authenticator": method.upper(), "token": resolved["login_token"]}


def _private_key(resolved: Params) -> PrivateKeyTypes:
    pem = resolved["login_private_key"]
    if not pem:
        path = resolved["login_private_key_path"]
        try:
            with open(path, encoding="utf-8") as file:
                pem = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"login_private_key_path {path} cannot be read ({type(error).__name__}).") from None
    return keys.load_private_key(pem, resolved["login_private_key_passphrase"])
