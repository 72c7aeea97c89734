# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flask-AppBuilder with its users and nothing else, and an administrator: PORT, password file."""

from __future__ import annotations

import logging
import secrets
import sys
from pathlib import Path

from flask import Flask
from flask_appbuilder import AppBuilder
from flask_appbuilder.utils.legacy import get_sqla_class


def main() -> None:
    port, password = int(sys.argv[1]), Path(sys.argv[2]).read_text()
    logging.getLogger("werkzeug").disabled = True
    application = Flask(__name__)
    application.config.update(
        SECRET_KEY=secrets.token_hex(),
        JWT_SECRET_KEY=secrets.token_hex(),
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{Path.cwd()}/users.db",
        FAB_ADD_SECURITY_API=True,
        # As Superset has it.
        RATELIMIT_ENABLED=False,
    )
    database = get_sqla_class()(application)
    with application.app_context():
        builder = AppBuilder(application, database.session)
        role = builder.sm.find_role("Admin")
        builder.sm.add_user("admin", "First", "Last", "admin@example.com", role, password=password)
    application.run("127.0.0.1", port)


if __name__ == "__main__":
    main()
