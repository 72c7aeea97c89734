# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The key that a user shall have, and the key in use now, from the options; and the file that keeps a new one."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import keys
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput

Params = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class KeyMaterial:
    """A key by its fingerprint and its public half (bare base64). private: PKCS#8 DER, None for a public key only."""

    fingerprint: str
    public: str
    private: bytes | None = dataclasses.field(default=None, repr=False)


def _material(key: t.Any, *, private: bool) -> KeyMaterial:
    try:
        keys.check_strength(key.public_key() if private else key)
    except InvalidInput as error:
        # No user of Snowflake has such a key.
        error.in_force = False
        raise
    return KeyMaterial(keys.fingerprint(key), keys.public_base64(key), keys.private_der(key) if private else None)


def wanted_key(item: Params) -> KeyMaterial | None:
    """The new key; None where it is still to be made, in the file C(private_key_path) or not. Raises InvalidInput."""
    if item["private_key"] is not None:
        return _material(keys.load_private_key(item["private_key"], item["private_key_passphrase"]), private=True)
    if item["public_key"] is not None:
        return _material(keys.load_public_key(item["public_key"]), private=False)
    if item["private_key_path"] is None:
        return None
    return read_key_file(item["private_key_path"], item["private_key_passphrase"])


def current_fingerprint(item: Params) -> str | None:
    """The fingerprint of the key in use, however it is given. Raises InvalidInput."""
    if item["current_fingerprint"] is not None:
        return check_fingerprint(item["current_fingerprint"])
    if item["current_public_key"] is not None:
        return keys.fingerprint(keys.load_public_key(item["current_public_key"]))
    if item["current_private_key"] is not None:
        return keys.fingerprint(
            keys.load_private_key(item["current_private_key"], item["current_private_key_passphrase"])
        )
    return None


def check_fingerprint(text: str) -> str:
    stripped = text.strip()
    if not stripped.startswith("SHA256:") or len(stripped) != len("SHA256:") + 44:
        raise InvalidInput("current_fingerprint must look like DESCRIBE USER shows it: SHA256: and 44 characters.")
    return stripped


def read_key_file(path: str, passphrase: str | None) -> KeyMaterial | None:
    """The key in the file, None if there is no file. Raises InvalidInput for a file that holds no usable key."""
    try:
        with open(path, encoding="utf-8") as file:
            pem = file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"private_key_path {path} cannot be read ({type(error).__name__}).") from None
    try:
        return _material(keys.load_private_key(pem, passphrase), private=True)
    except InvalidInput as error:
        raise InvalidInput(f"private_key_path {path}: {error.msg} The file was left alone.") from None


def check_writable(path: str) -> None:
    """Raise InvalidInput where a new key file could not be made, before anything is asked of the service."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidInput(f"private_key_path {path}: its folder does not exist, or cannot be written.")


def create_key_file(path: str, passphrase: str | None, bits: int) -> KeyMaterial:
    """A new RSA key in a new file, 0600 and on disk when this returns. The file is there whole or not at all.

    Raises InvalidInput where it cannot be written, and where another run was faster.
    """
    key = keys.generate_rsa(bits)
    try:
        _write_new(path, keys.private_pem(key, passphrase).encode())
    except FileExistsError:
        raise InvalidInput(f"private_key_path {path} appeared meanwhile; another run made it. Run again.") from None
    except OSError as error:
        raise InvalidInput(f"private_key_path {path} cannot be written ({type(error).__name__}).") from None
    return _material(key, private=True)


def _write_new(path: str, content: bytes) -> None:
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        with _unnamed_file(folder) as (fd, link):
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
            # Never replaces a file. Only linkat follows the link in /proc, and Python calls it only with a folder.
            os.link(link, path, src_dir_fd=folder, follow_symlinks=True)
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _unnamed_file(folder: int) -> t.Iterator[tuple[int, str]]:
    """A new 0600 file that gets its name when it is complete, and what to link to it.

    A kill leaves nothing under that name, and nothing at all where the system has files without names.
    """
    temporary = f".keyturn-{secrets.token_hex(8)}"
    fd = None
    if hasattr(os, "O_TMPFILE"):
        with contextlib.suppress(OSError):
            fd = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o600, dir_fd=folder)
    named = fd is None
    if fd is None:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    try:
        yield fd, temporary if named else f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)
        if named:
            os.unlink(temporary, dir_fd=folder)
