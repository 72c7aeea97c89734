# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of module_utils/_snowflake/connection.py."""

    DOCUMENTATION = r"""
options:
  account:
    description:
      - The Snowflake account, for example V(myorg-account1) or V(xy12345.eu-west-1).
      - Falls back to the environment variable E(SNOWFLAKE_ACCOUNT).
    type: str
  login_user:
    description:
      - The administrator who logs in. It needs a role that owns the users to be rotated.
      - Falls back to the environment variable E(SNOWFLAKE_USER).
    type: str
  login_password:
    description:
      - The administrator's password.
      - Falls back to the environment variable E(SNOWFLAKE_PASSWORD), if no option gives a way to log in.
    type: str
  login_private_key:
    description:
      - The administrator's private key in PEM form, PKCS#8 or PKCS#1, encrypted or not.
      - Falls back to the environment variable E(SNOWFLAKE_PRIVATE_KEY_RAW), if no option gives a way to log in.
    type: str
  login_private_key_path:
    description:
      - A file with the administrator's private key.
      - Falls back to the environment variable E(SNOWFLAKE_PRIVATE_KEY_PATH), if no option gives a way to log in.
    type: path
  login_private_key_passphrase:
    description:
      - The passphrase of an encrypted private key.
      - Falls back to the environment variable E(PRIVATE_KEY_PASSPHRASE).
    type: str
  login_token:
    description:
      - An OAuth access token, a programmatic access token, or the token of an OIDC workload identity.
      - A token alone does not tell which of them it is, so O(login_authenticator) must be set.
      - Falls back to the environment variable E(SNOWFLAKE_TOKEN), if no option gives a way to log in.
    type: str
  login_authenticator:
    description:
      - How the administrator logs in. Inferred from a password or a private key.
      - Falls back to the environment variable E(SNOWFLAKE_AUTHENTICATOR) when the secret comes from there, too.
    type: str
    choices: [password, key_pair, oauth, programmatic_access_token, workload_identity]
  login_workload_identity_provider:
    description:
      - Where the workload identity comes from. V(OIDC) is assumed when a O(login_token) is given.
      - Falls back to the environment variable E(SNOWFLAKE_WORKLOAD_IDENTITY_PROVIDER).
    type: str
    choices: [AWS, AZURE, GCP, OIDC]
  login_role:
    description:
      - The role to use. Defaults to the administrator's default role.
      - Falls back to the environment variable E(SNOWFLAKE_ROLE).
    type: str
  login_host:
    description:
      - The host to connect to, where it cannot be derived from O(account), as with private connectivity.
      - Falls back to the environment variable E(SNOWFLAKE_HOST).
    type: str
  login_port:
    description:
      - The port to connect to.
      - Falls back to the environment variable E(SNOWFLAKE_PORT).
    type: int
  login_protocol:
    description:
      - The protocol to use. V(http) is meant for tests on this machine.
      - Falls back to the environment variable E(SNOWFLAKE_PROTOCOL).
    type: str
    choices: [https, http]
  login_timeout:
    description:
      - Seconds that every single connection and statement may take, retries included.
    type: int
    default: 20
  query_tag:
    description:
      - The C(QUERY_TAG) of the administrator's session, by which C(QUERY_HISTORY) finds its statements. At most 2000
        characters. Without it, the user's or the account's own tag stays.
      - The roles set V(keyturn.credentials:<module>:<run>), with the C(run_id) that stands in events and in the fleet's
        history, unless the administrator's record or the role's connection says otherwise.
    type: str
requirements:
  - snowflake-connector-python >= 3.12 (4.8 and 5.x are tested)
  - cryptography (for a private key)
"""
