# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Where the Keeper configuration and the trust in Keeper's certificate come from."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.client import Vault, parse_config

CONNECTION_SPEC = ArgumentSpec(
    options={
        "keeper_config": {"type": "raw", "no_log": True},
        "keeper_config_file": {"type": "path", "no_log": False},
        "ca_path": {"type": "path", "no_log": False},
        "validate_certs": {"type": "bool", "default": True, "no_log": False},
    }
)


def vault(params: t.Mapping[str, t.Any], environ: t.Mapping[str, str]) -> Vault:
    """The vault that the options, else the environment, name. Raises InvalidInput."""
    verify: bool | str = params["validate_certs"]
    if verify:
        ca_path = params["ca_path"] or environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
        if ca_path and not os.path.exists(ca_path):
            raise InvalidInput(f"ca_path {ca_path} does not exist.")
        verify = ca_path or True
    return Vault(parse_config(config_text(params, environ)), verify=verify)


def config_text(params: t.Mapping[str, t.Any], environ: t.Mapping[str, str]) -> str:
    """The configuration, unparsed.

    As the official plugins: a file that exists, then the text; then the environment, which they do not look at.
    """
    path, text = params["keeper_config_file"], params["keeper_config"]
    if path and os.path.exists(path):
        return _read(path, "keeper_config_file")
    if text:
        # A mapping is what becomes of JSON in a variable.
        return text if isinstance(text, str) else json.dumps(text)
    if path:
        raise InvalidInput(f"keeper_config_file {path} does not exist.")
    if environ.get("KSM_CONFIG"):
        return environ["KSM_CONFIG"]
    if environ.get("KSM_CONFIG_FILE"):
        return _read(environ["KSM_CONFIG_FILE"], "KSM_CONFIG_FILE")
    raise InvalidInput("No Keeper configuration: set keeper_config_file, keeper_config, KSM_CONFIG or KSM_CONFIG_FILE.")


def _read(path: str, option: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{option} {path} cannot be read ({type(error).__name__}).") from None
