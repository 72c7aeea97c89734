# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys in every form that users have them, and the file that keeps a new one."""

from __future__ import annotations

import base64
import dataclasses
import errno
import functools
import hashlib
import os
import re
import stat
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ansible_collections.keyturn.credentials.plugins.module_utils._core import keys
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import key_material
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.key_material import KeyMaterial
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.key_options import USER_OPTIONS

PASSPHRASE = "a passphrase with blanks, ä and {{ braces }}"
PKCS8, PKCS1 = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "secp256k1": ec.SECP256K1(),
}


@functools.cache
def key(kind: str = "RSA 2048") -> t.Any:
    if kind in CURVES:
        return ec.generate_private_key(CURVES[kind])
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, int(kind.split()[1]))


def pem(kind: str = "RSA 2048", form: serialization.PrivateFormat = PKCS8, passphrase: str | None = None) -> str:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return str(key(kind).private_bytes(serialization.Encoding.PEM, form, encryption).decode())


def spki(kind: str = "RSA 2048") -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key(kind).public_key().public_bytes(serialization.Encoding.DER, form))


def print_of(kind: str = "RSA 2048") -> str:
    """As Snowflake's documentation tells to compute it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(spki(kind)).digest()).decode()


def public_pem(kind: str = "RSA 2048") -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key(kind).public_key().public_bytes(serialization.Encoding.PEM, form).decode())


def item(**options: t.Any) -> dict[str, t.Any]:
    return {**dict.fromkeys(USER_OPTIONS), **options}


def indented(text: str) -> str:
    return "\n\n" + "".join(f"   \t{line}  \n" for line in text.splitlines()) + "\n  "


# -- the new key

FORMS: dict[str, t.Callable[[], dict[str, t.Any]]] = {
    "PKCS#8": lambda: {"private_key": pem()},
    "PKCS#1": lambda: {"private_key": pem(form=PKCS1)},
    "PKCS#8 encrypted": lambda: {"private_key": pem(passphrase=PASSPHRASE), "private_key_passphrase": PASSPHRASE},
    "PKCS#1 encrypted": lambda: {"private_key": pem("RSA 2048", PKCS1, "pw"), "private_key_passphrase": "pw"},
    "CRLF": lambda: {"private_key": pem().replace("\n", "\r\n")},
    "CR only": lambda: {"private_key": pem().replace("\n", "\r")},
    "indented": lambda: {"private_key": indented(pem())},
    "indented, CRLF": lambda: {"private_key": indented(pem()).replace("\n", "\r\n")},
    "encrypted, indented": lambda: {
        "private_key": indented(pem(passphrase=PASSPHRASE)),
        "private_key_passphrase": PASSPHRASE,
    },
    "no newline at the end": lambda: {"private_key": pem().rstrip("\n")},
    "empty passphrase": lambda: {"private_key": pem(), "private_key_passphrase": ""},
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_private_key(form: str) -> None:
    wanted = key_material.wanted_key(item(**FORMS[form]()))
    assert wanted is not None and wanted.private is not None
    assert wanted.fingerprint == print_of() and wanted.public == base64.b64encode(spki()).decode()
    # What the connector gets is a plain PKCS#8 key.
    assert keys.fingerprint(serialization.load_der_private_key(wanted.private, None)) == print_of()


@pytest.mark.parametrize("kind", ["RSA 2048", "RSA 3072", "RSA 4096", "P-256", "P-384", "P-521"])
@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_kinds_that_snowflake_takes(kind: str, passphrase: str | None) -> None:
    given = item(private_key=pem(kind, passphrase=passphrase), private_key_passphrase=passphrase)
    wanted = key_material.wanted_key(given)
    assert wanted is not None and wanted.fingerprint == print_of(kind)
    public = key_material.wanted_key(item(public_key=public_pem(kind)))
    assert public == KeyMaterial(print_of(kind), base64.b64encode(spki(kind)).decode())


@pytest.mark.parametrize(
    ("kind", "says"), [("RSA 1024", "1024 bits"), ("secp256k1", "secp256k1"), ("Ed25519", "neither RSA nor EC")]
)
def test_kinds_that_it_does_not_take(kind: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "key.p8"
    path.write_text(pem(kind))
    for given in (
        {"private_key": pem(kind)},
        {"public_key": public_pem(kind)},
        {"public_key": base64.b64encode(spki(kind)).decode()},
        {"private_key_path": str(path)},
    ):
        with pytest.raises(InvalidInput, match=says) as caught:
            key_material.wanted_key(item(**given))
        assert not echoes(caught.value, pem(kind), public_pem(kind))


@pytest.mark.parametrize(
    "text",
    [
        public_pem(),
        base64.b64encode(spki()).decode(),
        f"  {base64.b64encode(spki()).decode()}\n",
        public_pem().replace("\n", "\r\n"),
        indented(public_pem()),
        "\n".join(line for line in public_pem().splitlines() if "-----" not in line),
    ],
    ids=["PEM", "base64", "padded base64", "PEM with CRLF", "indented PEM", "lines without armour"],
)
def test_forms_of_a_public_key(text: str) -> None:
    wanted = key_material.wanted_key(item(public_key=text))
    assert wanted == KeyMaterial(print_of(), base64.b64encode(spki()).decode(), None)
    assert key_material.current_fingerprint(item(current_public_key=text)) == print_of()


def echoes(error: InvalidInput, *texts: str) -> list[str]:
    """Pieces of the texts, six characters or longer, that an error or what it carries repeats."""
    said = f"{error.msg} {error} {error.args} {error.evidence} {error.__cause__}"
    words = {word for text in texts for word in re.findall(r"[A-Za-z0-9+/=]{6,}", text) if "-----" not in text[:5]}
    lines = {line for text in texts for line in text.splitlines() if "-----" not in line and len(line) >= 6}
    return [word for word in words | lines if word in said]


GARBAGE = {
    "nothing": "",
    "blanks": " \n ",
    "text": "Tr0ub4dor and not a key",
    "NUL": "\0\0\0 canary-canary",
    "ssh": "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABcanary someone@example.org",
    "no text": "ключ-canary",
}

MADE = ("armour only", "broken base64", "truncated", "public for private", "certificate armour")


@pytest.mark.parametrize("kind", [*GARBAGE, *MADE])
@pytest.mark.parametrize("passphrase", [None, "Tr0ub4dor9x"])
def test_garbage_is_refused_and_not_repeated(kind: str, passphrase: str | None, tmp_path: Path) -> None:
    head, *_body, foot = pem().splitlines()
    made = {
        "armour only": f"{head}\n{foot}",
        "broken base64": f"{head}\nQ0FOQVJZLWlzLW5vdC1hLWtleQ\n{foot}",
        "truncated": "\n".join(pem().splitlines()[:-8]),
        "public for private": public_pem(),
        "certificate armour": pem().replace("PRIVATE KEY", "CERTIFICATE"),
    }
    text = GARBAGE[kind] if kind in GARBAGE else made[kind]
    path = tmp_path / "key.p8"
    path.write_text(text)
    given: list[dict[str, t.Any]] = [
        {"private_key": text, "private_key_passphrase": passphrase},
        {"private_key_path": str(path), "private_key_passphrase": passphrase},
    ]
    if kind not in ("public for private", "nothing", "blanks"):
        given.append({"public_key": text})
    for options in given:
        with pytest.raises(InvalidInput) as caught:
            key_material.wanted_key(item(**options))
        assert echoes(caught.value, text, passphrase or "") == []
    for options in (
        {"current_private_key": text, "current_private_key_passphrase": passphrase},
        {"current_fingerprint": text},
    ):
        with pytest.raises(InvalidInput) as caught:
            key_material.current_fingerprint(item(**options))
        assert echoes(caught.value, text, passphrase or "") == []
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("encrypted", "passphrase", "says"),
    [
        (True, None, "encrypted, and no passphrase"),
        (True, "", "encrypted, and no passphrase"),
        (True, "Tr0ub4dor-wrong", "wrong passphrase"),
        (False, "Tr0ub4dor-needless", "not encrypted"),
    ],
)
@pytest.mark.parametrize("form", [PKCS8, PKCS1])
def test_passphrases(encrypted: bool, passphrase: str | None, says: str, form: serialization.PrivateFormat) -> None:
    text = pem("RSA 2048", form, "the-right-one" if encrypted else None)
    with pytest.raises(InvalidInput, match=says) as caught:
        key_material.wanted_key(item(private_key=text, private_key_passphrase=passphrase))
    assert echoes(caught.value, text, passphrase or "", "the-right-one") == []
    with pytest.raises(InvalidInput, match=says):
        key_material.current_fingerprint(item(current_private_key=text, current_private_key_passphrase=passphrase))


# -- the key in use


@pytest.mark.parametrize("kind", ["RSA 2048", "P-384", "RSA 1024"])
def test_the_key_in_use_in_every_form(kind: str) -> None:
    """It is there, so its strength is not judged."""
    for given in (
        {"current_private_key": pem(kind)},
        {"current_private_key": pem(kind, passphrase="pw"), "current_private_key_passphrase": "pw"},
        {"current_public_key": public_pem(kind)},
        {"current_public_key": base64.b64encode(spki(kind)).decode()},
        {"current_fingerprint": print_of(kind)},
        {"current_fingerprint": f" {print_of(kind)}\n"},
    ):
        assert key_material.current_fingerprint(item(**given)) == print_of(kind)
    assert key_material.current_fingerprint(item()) is None


@pytest.mark.parametrize(
    "text", ["", "SHA256:", "SHA256:abc=", "MD5:00:11", f"sha256:{'x' * 44}", f"SHA256:{'x' * 45}"]
)
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(InvalidInput, match="current_fingerprint"):
        key_material.current_fingerprint(item(current_fingerprint=text))


def test_a_private_key_is_not_shown() -> None:
    wanted = key_material.wanted_key(item(private_key=pem()))
    assert wanted is not None and "private" not in repr(wanted) and repr(wanted.private)[2:20] not in repr(wanted)
    assert dataclasses.replace(wanted, private=None) != wanted


# -- the file


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert key_material.wanted_key(item(private_key_path=str(tmp_path / "no.p8"))) is None


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=re.escape(str(tmp_path))):
        key_material.wanted_key(item(private_key_path=str(tmp_path)))


@pytest.mark.parametrize("content", [b"\xff\xfe\0binary", b"notes of somebody else\n"])
def test_a_foreign_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=re.escape(str(path))):
        key_material.wanted_key(item(private_key_path=str(path)))
    assert path.read_bytes() == content


@pytest.fixture(params=["nameless", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With and without the system's nameless files."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no O_TMPFILE")
    # How long it takes to make one has nothing to do with files.
    monkeypatch.setattr(keys, "generate_rsa", lambda bits: key(f"RSA {bits}"))
    return str(request.param)


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
@pytest.mark.parametrize("mask", [0o022, 0o000, 0o077])
def test_a_new_file(way: str, passphrase: str | None, mask: int, tmp_path: Path) -> None:
    path = tmp_path / "key.p8"
    before = os.umask(mask)
    try:
        made = key_material.create_key_file(str(path), passphrase, 2048)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and os.listdir(tmp_path) == ["key.p8"]
    assert ("ENCRYPTED" in path.read_text()) == (passphrase is not None)
    assert key_material.read_key_file(str(path), passphrase) == made
    if passphrase:
        with pytest.raises(InvalidInput, match="no passphrase"):
            key_material.read_key_file(str(path), None)


@pytest.mark.parametrize("bits", [2048, 3072])
def test_its_size(bits: int, tmp_path: Path) -> None:
    key_material.create_key_file(str(tmp_path / "key.p8"), None, bits)
    loaded = serialization.load_pem_private_key((tmp_path / "key.p8").read_bytes(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey) and loaded.key_size == bits


def test_in_the_present_folder(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    key_material.check_writable("key.p8")
    key_material.create_key_file("key.p8", None, 2048)
    assert os.listdir(tmp_path) == ["key.p8"]


def test_a_file_that_is_there_is_never_overwritten(way: str, tmp_path: Path) -> None:
    path = tmp_path / "key.p8"
    path.write_text("another run's")
    with pytest.raises(InvalidInput, match="another run made it") as caught:
        key_material.create_key_file(str(path), None, 2048)
    assert str(path) in caught.value.msg and path.read_text() == "another run's"
    assert os.listdir(tmp_path) == ["key.p8"]


def test_a_link_to_nothing_is_not_followed(way: str, tmp_path: Path) -> None:
    (tmp_path / "key.p8").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidInput):
        key_material.create_key_file(str(tmp_path / "key.p8"), None, 2048)
    assert os.listdir(tmp_path) == ["key.p8"]


class Killed(BaseException):
    """Ends everything, as a signal would."""


@pytest.mark.parametrize("call", ["write", "second write", "fsync"])
def test_killed_half_way_it_leaves_nothing(
    way: str, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the next run would find half a key, and refuse it as somebody else's file."""
    write, calls = os.write, 0

    def stop(*arguments: t.Any) -> int:
        raise Killed

    def dribble(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Killed
        return write(descriptor, data[:10])

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync" if call == "fsync" else "write", dribble if call == "second write" else stop)
        with pytest.raises(Killed):
            key_material.create_key_file(str(tmp_path / "key.p8"), None, 2048)
    # A leftover under another name would not be in the way.
    assert not (tmp_path / "key.p8").exists()
    key_material.create_key_file(str(tmp_path / "key.p8"), None, 2048)


def test_short_writes(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:100])))
    made = key_material.create_key_file(str(tmp_path / "key.p8"), None, 2048)
    assert key_material.read_key_file(str(tmp_path / "key.p8"), None) == made


def test_on_disk_before_it_returns(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content before the name, and the name before Snowflake hears of the key."""
    seen: list[tuple[bool, bool]] = []
    fsync = os.fsync

    def watch(descriptor: int) -> None:
        seen.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), (tmp_path / "key.p8").exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    key_material.create_key_file(str(tmp_path / "key.p8"), None, 2048)
    assert [is_folder for is_folder, _exists in seen] == [False, True] and seen[-1] == (True, True)


@pytest.mark.parametrize(("error", "number"), [(PermissionError, errno.EACCES), (OSError, errno.ENOSPC)])
def test_a_folder_that_cannot_be_written(
    error: type[OSError], number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse(path: t.Any, flags: int, *arguments: t.Any, **options: t.Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise error(number, "no")
        return opened(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InvalidInput, match=error.__name__) as caught:
        key_material.create_key_file(str(tmp_path / "key.p8"), None, 2048)
    assert str(tmp_path) in caught.value.msg and os.listdir(tmp_path) == []


def test_where_no_file_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "no folder" / "key.p8", tmp_path / "file" / "key.p8"):
        with pytest.raises(InvalidInput, match=re.escape(str(path))):
            key_material.check_writable(str(path))
        with pytest.raises(InvalidInput):
            key_material.create_key_file(str(path), None, 2048)
    key_material.check_writable(str(tmp_path / "key.p8"))
    # Whoever runs the tests may be allowed everything.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InvalidInput, match="cannot be written"):
        key_material.check_writable(str(tmp_path / "key.p8"))
