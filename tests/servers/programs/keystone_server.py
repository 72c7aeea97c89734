# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keystone with an empty SQLite database and an administrator, in the current directory: PORT, password file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from wsgiref import simple_server

from keystone.cmd import cli
from keystone.server import wsgi

_SETTINGS = """\
[database]
connection = sqlite:///{directory}/keystone.db
[identity]
# Otherwise each login costs a quarter of a second.
password_hash_algorithm = bcrypt
password_hash_rounds = 4
[fernet_tokens]
key_repository = {directory}/fernet
[fernet_receipts]
key_repository = {directory}/fernet
[credential]
key_repository = {directory}/credential
"""


class _Quiet(simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """The tests look at answers, not at logs."""


def _manage(*words: str, **environment: str) -> None:
    """keystone-manage in a process of its own, for Keystone can be configured only once; forked, to import it once."""
    pid = os.fork()
    if pid == 0:
        os.environ.update(environment)
        cli.main(["keystone-manage", "--config-file", "keystone.conf", *words])
        os._exit(0)
    if os.waitpid(pid, 0)[1] != 0:
        sys.exit(f"keystone-manage {words[0]} failed")


def main() -> None:
    port, password = int(sys.argv[1]), Path(sys.argv[2]).read_text()
    directory = Path.cwd()
    (directory / "keystone.conf").write_text(_SETTINGS.format(directory=directory))
    for name in ("fernet", "credential"):
        (directory / name).mkdir(mode=0o700)
    owner = ("--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))
    _manage("db_sync")
    _manage("fernet_setup", *owner)
    _manage("credential_setup", *owner)
    _manage("bootstrap", OS_BOOTSTRAP_PASSWORD=password)
    # Keystone reads the command line of whatever program it is in.
    sys.argv = ["keystone"]
    os.environ.update(OS_KEYSTONE_CONFIG_DIR=str(directory), OS_KEYSTONE_CONFIG_FILES="keystone.conf")
    application = wsgi.initialize_public_application()
    simple_server.make_server("127.0.0.1", port, application, handler_class=_Quiet).serve_forever()


if __name__ == "__main__":
    main()
