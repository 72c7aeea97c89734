# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cryptography of the Keeper Secrets Manager protocol, as the service and the vault's owner see it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import typing as t

import cryptography.exceptions
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

POINT_SIZE = 65
_GCM_IV = 12
_CBC_IV = 16


class Unopenable(Exception):
    """A blob that the key at hand does not open, or text that is no base64 or JSON. Never carries the content."""


def encode(data: bytes) -> str:
    """Padded standard base64, the alphabet and padding that the service uses."""
    return base64.b64encode(data).decode("ascii")


def encode_urlsafe(data: bytes) -> str:
    """Unpadded URL-safe base64, for the few values that travel so."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def decode(text: object) -> bytes:
    """Base64 in either alphabet, padded or not."""
    if not isinstance(text, str):
        raise Unopenable("not base64")
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Unopenable("not base64") from None


def new_key() -> bytes:
    return os.urandom(32)


def new_uid() -> str:
    """16 bytes as 22 URL-safe characters, never with a leading dash, so that it is safe as an argument."""
    while True:
        uid = encode_urlsafe(os.urandom(16))
        if not uid.startswith("-"):
            return uid


def seal(data: bytes, key: bytes) -> bytes:
    iv = os.urandom(_GCM_IV)
    return iv + AESGCM(key).encrypt(iv, data, None)


def unseal(blob: bytes, key: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(blob[:_GCM_IV], blob[_GCM_IV:], None)
    except (cryptography.exceptions.InvalidTag, ValueError):
        raise Unopenable("sealed with another key") from None


def seal_cbc(data: bytes, key: bytes) -> bytes:
    iv = os.urandom(_CBC_IV)
    padder = padding.PKCS7(algorithms.AES.block_size).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return iv + encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()


def unseal_cbc(blob: bytes, key: bytes) -> bytes:
    unpadder = padding.PKCS7(algorithms.AES.block_size).unpadder()
    try:
        decryptor = Cipher(algorithms.AES(key), modes.CBC(blob[:_CBC_IV])).decryptor()
        return unpadder.update(decryptor.update(blob[_CBC_IV:]) + decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise Unopenable("sealed with another key") from None


def seal_json(content: object, key: bytes) -> bytes:
    return seal(json.dumps(content).encode(), key)


def unseal_json(blob: bytes, key: bytes) -> dict[str, t.Any]:
    """The JSON object inside a blob; a JSON text of another kind is refused too."""
    try:
        content = json.loads(unseal(blob, key))
    except ValueError:
        raise Unopenable("not JSON") from None
    if not isinstance(content, dict):
        raise Unopenable("not a JSON object")
    return content


def new_private_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half as a 65-byte uncompressed point."""
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def pkcs8(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def unseal_ecies(blob: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Open what was sealed to the public half of ``key``: an ephemeral point, then GCM."""
    try:
        ephemeral = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), blob[:POINT_SIZE])
    except ValueError:
        raise Unopenable("no point on the curve") from None
    return unseal(blob[POINT_SIZE:], hashlib.sha256(key.exchange(ec.ECDH(), ephemeral)).digest())


def signed_by(public: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the DER signature is ECDSA-SHA256 of ``data`` by the key with this point."""
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
        key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except (cryptography.exceptions.InvalidSignature, ValueError):
        return False
    return True


def client_id(token: bytes) -> str:
    """The client id that belongs to a one-time token."""
    return encode(hmac.new(token, b"KEEPER_SECRETS_MANAGER_CLIENT_ID", "sha512").digest())
