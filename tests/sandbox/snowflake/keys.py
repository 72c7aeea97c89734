# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Public keys and the signed tokens (JWT) that prove their private half."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import typing as t

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.sandbox.snowflake import errors

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_ARMOUR = re.compile(r"-----(BEGIN|END) PUBLIC KEY-----")
_EC: dict[str, tuple[type[ec.EllipticCurve], hashes.HashAlgorithm]] = {
    "ES256": (ec.SECP256R1, hashes.SHA256()),
    "ES384": (ec.SECP384R1, hashes.SHA384()),
    "ES512": (ec.SECP521R1, hashes.SHA512()),
}
_MINIMUM_RSA_BITS = 2048


def der(text: str) -> bytes:
    """The SubjectPublicKeyInfo in a PEM or bare base64 text; ValueError if it is neither."""
    return base64.b64decode("".join(_ARMOUR.sub("", text).split()), validate=True)


def fingerprint(text: str) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(der(text)).digest()).decode()


def load(text: str) -> PublicKey:
    """The key, if the account would take it; else the refusal as SqlError."""
    try:
        key = serialization.load_der_public_key(der(text))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        raise errors.key_refused("Invalid Public key") from None
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _MINIMUM_RSA_BITS:
            shortage = f"Key length {key.key_size} is smaller than minimal requirement of {_MINIMUM_RSA_BITS}."
            raise errors.key_refused(shortage)
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(
        key.curve, tuple(curve for curve, _algorithm in _EC.values())
    ):
        return key
    raise errors.key_refused("Invalid Public key")


class Token(t.NamedTuple):
    """A decoded JWT, its signature unchecked."""

    algorithm: str
    claims: dict[str, t.Any]
    signed: bytes
    signature: bytes


def decode_token(text: str) -> Token:
    """ValueError if the text is no JWT."""
    head, body, signature = text.split(".")
    header, claims = json.loads(_unbase64url(head)), json.loads(_unbase64url(body))
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise ValueError("not a JWT")
    return Token(str(header.get("alg")), claims, f"{head}.{body}".encode(), _unbase64url(signature))


def signed_by(token: Token, key_text: str) -> bool:
    """Whether the private half of this public key signed the token, with the algorithm that the token names."""
    key = serialization.load_der_public_key(der(key_text))
    try:
        if token.algorithm == "RS256" and isinstance(key, rsa.RSAPublicKey):
            key.verify(token.signature, token.signed, padding.PKCS1v15(), hashes.SHA256())
            return True
        if token.algorithm in _EC and isinstance(key, ec.EllipticCurvePublicKey):
            return _verify_ec(token, key)
    except InvalidSignature:
        pass
    return False


def known_algorithm(name: str) -> bool:
    return name == "RS256" or name in _EC


def _verify_ec(token: Token, key: ec.EllipticCurvePublicKey) -> bool:
    curve, digest = _EC[token.algorithm]
    size = (key.curve.key_size + 7) // 8
    if not isinstance(key.curve, curve) or len(token.signature) != 2 * size:
        return False
    r, s = (int.from_bytes(part, "big") for part in (token.signature[:size], token.signature[size:]))
    key.verify(encode_dss_signature(r, s), token.signed, ec.ECDSA(digest))
    return True


def _unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
