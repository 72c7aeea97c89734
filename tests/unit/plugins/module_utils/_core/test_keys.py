# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys: what is read, what is refused, and that no error quotes them."""

from __future__ import annotations

import base64
import hashlib
import typing as t

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ansible_collections.keyturn.credentials.plugins.module_utils._core import keys
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput

PASSPHRASE = "open, sesame"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return t.cast(rsa.RSAPrivateKey, keys.generate_rsa(2048))


def _pem(
    key: rsa.RSAPrivateKey, form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8, phrase: str = ""
) -> str:
    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(phrase.encode()) if phrase else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("phrase", ["", PASSPHRASE])
@pytest.mark.parametrize("spoil", ["{}", "\n\n  {}\n\n", "\r\n{}"])
def test_every_usual_form_is_read(
    key: rsa.RSAPrivateKey, form: serialization.PrivateFormat, phrase: str, spoil: str
) -> None:
    text = spoil.format(_pem(key, form, phrase).replace("\n", "\r\n" if "\r" in spoil else "\n"))
    assert keys.public_base64(keys.load_private_key(text, phrase or None)) == keys.public_base64(key)


def test_a_wrong_passphrase_is_told_from_a_missing_and_a_needless_one(key: rsa.RSAPrivateKey) -> None:
    said = set()
    for text, phrase in [(_pem(key), PASSPHRASE), (_pem(key, phrase=PASSPHRASE), None), (_pem(key, phrase="x"), "y")]:
        with pytest.raises(InvalidInput) as raised:
            keys.load_private_key(text, phrase)
        said.add(raised.value.msg)
        assert text.splitlines()[3] not in raised.value.msg
    assert len(said) == 3


def test_no_error_holds_the_text_or_its_cause(key: rsa.RSAPrivateKey) -> None:
    spoilt = _pem(key).replace("A", "*")
    with pytest.raises(InvalidInput) as raised:
        keys.load_private_key(spoilt)
    assert spoilt.splitlines()[2] not in str(raised.value)
    assert raised.value.__suppress_context__


def test_what_is_generated_and_written_reads_back(key: rsa.RSAPrivateKey) -> None:
    assert (key.key_size, key.public_key().public_numbers().e) == (2048, 65537)
    pem = keys.private_pem(key)
    assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert keys.private_der(keys.load_private_key(pem)) == keys.private_der(key)


def test_public_half_and_fingerprint_are_snowflakes(key: rsa.RSAPrivateKey) -> None:
    der = base64.b64decode(keys.public_base64(key), validate=True)
    assert serialization.load_der_public_key(der) == key.public_key()
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    # As documented: openssl rsa -pubin -outform DER | openssl dgst -sha256 -binary | openssl enc -base64
    spki = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    assert keys.fingerprint(key) == f"SHA256:{base64.b64encode(hashlib.sha256(spki).digest()).decode()}"


def test_elliptic_curves_are_read_too() -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    assert keys.private_der(keys.load_private_key(keys.private_pem(curve))) == keys.private_der(curve)
