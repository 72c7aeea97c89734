# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys of this session by name, in every form."""

from __future__ import annotations

import base64
import functools
import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


_CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "secp256k1": ec.SECP256K1(),
}


@functools.cache
def key(name: str, kind: str = "2048") -> PrivateKey:
    """A key of this session, made when it is first named."""
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind])
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, int(kind))


def pem(name: str, kind: str = "2048", passphrase: str | None = None) -> str:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    form = serialization.PrivateFormat.PKCS8
    return key(name, kind).private_bytes(serialization.Encoding.PEM, form, encryption).decode()


def spki(name: str, kind: str = "2048") -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key(name, kind).public_key().public_bytes(serialization.Encoding.DER, form)


def public(name: str, kind: str = "2048") -> str:
    return base64.b64encode(spki(name, kind)).decode()


def public_pem(name: str, kind: str = "2048") -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key(name, kind).public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def print_of(name: str, kind: str = "2048") -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(spki(name, kind)).digest()).decode()
