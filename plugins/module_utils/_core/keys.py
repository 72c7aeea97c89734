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
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes


def _serialization() -> t.Any:
    return require("cryptography.hazmat.primitives.serialization", package="cryptography")


def load_private_key(pem: str, passphrase: str | None = None) -> PrivateKeyTypes:
    """A key from PEM: PKCS#8 or PKCS#1, encrypted or not, CRLF or padded with blanks.

    Raises InvalidInput for anything else, for a wrong passphrase and for one that is missing.
    """
    serialization = _serialization()
    text = "\n".join(line.strip() for line in pem.strip().splitlines()) + "\n"
    password = passphrase.encode() if passphrase else None
    try:
        return t.cast("PrivateKeyTypes", serialization.load_pem_private_key(text.encode(), password=password))
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


def private_pem(key: PrivateKeyTypes) -> str:
    """The key as unencrypted PKCS#8 PEM."""
    serialization = _serialization()
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def private_der(key: PrivateKeyTypes) -> bytes:
    """The key as unencrypted PKCS#8 DER, the one form that every version of the Snowflake connector takes."""
    serialization = _serialization()
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_der(key: PrivateKeyTypes) -> bytes:
    """The DER SubjectPublicKeyInfo of the key's public half."""
    serialization = _serialization()
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_base64(key: PrivateKeyTypes) -> str:
    """The public half as bare base64 on one line, as ALTER USER takes it."""
    return base64.b64encode(public_der(key)).decode()


def fingerprint(spki: bytes) -> str:
    """C(SHA256:) and the base64 of the SHA-256 of a DER SubjectPublicKeyInfo, as DESCRIBE USER shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(spki).digest()).decode()
