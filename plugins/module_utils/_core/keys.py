# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Private and public keys: load, generate, write, fingerprint. No key text ever reaches an error."""

from __future__ import annotations

import base64
import hashlib
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.deps import require
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput

if t.TYPE_CHECKING:  # pragma: no cover
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

SMALLEST_RSA_KEY = 2048
# docs.snowflake.com, "Key-pair authentication": RSA of 2048 bits or more, and these NIST curves.
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


def _serialization() -> t.Any:
    return require("cryptography.hazmat.primitives.serialization", package="cryptography")


def load_private_key(pem: str, passphrase: str | None = None) -> PrivateKeyTypes:
    """A key from PEM: PKCS#8, PKCS#1 or OpenSSH's, encrypted or not.

    CRLF, blanks, a byte order mark and line feeds that were written as C(\\n) do not matter. Raises InvalidInput for
    anything else, for a wrong passphrase and for one that is missing.
    """
    serialization = _serialization()
    lines = pem.strip("\ufeff \t\r\n").replace("\\r", "").replace("\\n", "\n").splitlines()
    text = "\n".join(line.strip() for line in lines) + "\n"
    password = passphrase.encode() if passphrase else None
    load = serialization.load_ssh_private_key if "BEGIN OPENSSH" in text else serialization.load_pem_private_key
    try:
        return t.cast("PrivateKeyTypes", load(text.encode(), password=password))
    except TypeError:
        # cryptography's own distinction: a passphrase for a plain key, or none for an encrypted one
        if password is None:
            raise InvalidInput("The private key is encrypted, and no passphrase is given.") from None
        raise InvalidInput("A passphrase is given, but the private key is not encrypted.") from None
    except Exception:
        if password is not None:
            raise InvalidInput("The private key cannot be read: wrong passphrase, or no PEM private key.") from None
        raise InvalidInput("The private key cannot be read: it is no PEM private key (PKCS#8 or PKCS#1).") from None


def generate_rsa(bits: int) -> PrivateKeyTypes:
    """A new RSA key with the exponent 65537."""
    rsa = require("cryptography.hazmat.primitives.asymmetric.rsa", package="cryptography")
    return t.cast("PrivateKeyTypes", rsa.generate_private_key(public_exponent=65537, key_size=bits))


def load_public_key(text: str) -> PublicKeyTypes:
    """A public key from PEM (SubjectPublicKeyInfo) or its bare base64. Raises InvalidInput."""
    serialization = _serialization()
    lines = [line.strip() for line in text.strip().splitlines()]
    try:
        der = base64.b64decode("".join(line for line in lines if not line.startswith("-----")), validate=True)
        return t.cast("PublicKeyTypes", serialization.load_der_public_key(der))
    except Exception:
        raise InvalidInput("The public key cannot be read: it is neither PEM nor bare base64 of one.") from None


def check_strength(key: PublicKeyTypes) -> None:
    """Raise InvalidInput for keys that Snowflake does not take."""
    curve = getattr(key, "curve", None)
    if curve is not None:
        if curve.name not in _CURVES:
            raise InvalidInput(f"The key's curve {curve.name} is none that Snowflake takes (P-256, P-384, P-521).")
        return
    rsa = require("cryptography.hazmat.primitives.asymmetric.rsa", package="cryptography")
    if not isinstance(key, rsa.RSAPublicKey):
        raise InvalidInput("The key is neither RSA nor EC, so Snowflake does not take it.")
    if key.key_size < SMALLEST_RSA_KEY:
        raise InvalidInput(f"The key has {key.key_size} bits; Snowflake takes {SMALLEST_RSA_KEY} or more.")


def private_pem(key: PrivateKeyTypes, passphrase: str | None = None) -> str:
    """The key as PKCS#8 PEM, encrypted if there is a passphrase."""
    serialization = _serialization()
    encryption = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def private_der(key: PrivateKeyTypes) -> bytes:
    """The key as unencrypted PKCS#8 DER, the one form that every version of the Snowflake connector takes."""
    serialization = _serialization()
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_der(key: PrivateKeyTypes | PublicKeyTypes) -> bytes:
    """The DER SubjectPublicKeyInfo of a public key, or of a private key's public half."""
    serialization = _serialization()
    public = key.public_key() if hasattr(key, "public_key") else key
    return t.cast(
        bytes, public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def public_base64(key: PrivateKeyTypes | PublicKeyTypes) -> str:
    """The public key as bare base64 on one line, as ALTER USER takes it."""
    return base64.b64encode(public_der(key)).decode()


def fingerprint(key: PrivateKeyTypes | PublicKeyTypes) -> str:
    """C(SHA256:) and the base64 of the SHA-256 of the DER SubjectPublicKeyInfo, as DESCRIBE USER shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(public_der(key)).digest()).decode()
