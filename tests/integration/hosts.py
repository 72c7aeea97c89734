# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that Ansible reaches by its own ssh plugin, with a command in place of ssh that stays on this machine.

What runs on such a host finds its name in KT_HOST, and a systemctl that writes down what it is asked.
"""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

Side = t.Literal["before", "after"]

# The last two words are the host and what it shall run. Calls are counted, and one of them may never come to its end.
_SSH = r"""#!/bin/sh
for word; do host=$command; command=$word; done
cd {directory} || exit 255
test ! -e "down-$host" || exit 255
echo "$host" >> calls
hang() {{
  test "$(cat hang 2> /dev/null)" = "$1 $(wc -l < calls | tr -d ' ')" || return 0
  touch hanging
  exec sleep 120
}}
hang before
KT_HOST=$host PATH={directory}/bin:$PATH sh -c "$command"
code=$?
hang after
exit $code
"""
_SYSTEMCTL = r"""#!/bin/sh
case $1 in
  show) printf 'Id=reporting.service\nLoadState=loaded\nActiveState=active\n' ;;
  *) test ! -e "{directory}/broken-$KT_HOST" && echo "$KT_HOST $*" >> {directory}/systemctl ;;
esac
"""


class Hosts:
    """names: in the group reporting of the inventory."""

    def __init__(self, directory: Path, *names: str) -> None:
        self.directory, self.names = directory / "hosts", names
        (self.directory / "bin").mkdir(parents=True)
        for path, text in (("ssh", _SSH), ("bin/systemctl", _SYSTEMCTL)):
            (self.directory / path).write_text(text.format(directory=self.directory))
            (self.directory / path).chmod(0o700)
        for name in names:
            (self.directory / name).mkdir()
        self.inventory = directory / "hosts.ini"
        lines = [
            *("[reporting]", *names, "[reporting:vars]"),
            f"ansible_ssh_executable={self.directory / 'ssh'}",
            f"ansible_python_interpreter={sys.executable}",
        ]
        self.inventory.write_text("\n".join(lines) + "\n")

    def file(self, name: str) -> Path:
        """What the host's own file would be; all of them lie on this machine."""
        return self.directory / name / "secret"

    def hang_at(self, call: int, side: Side) -> None:
        """The so-and-so-many-th call of ssh from now on does not come to its end; C(hanging) tells when it is there."""
        (self.directory / "calls").unlink(missing_ok=True)
        (self.directory / "hang").write_text(f"{side} {call}")

    def hanging(self) -> bool:
        return (self.directory / "hanging").exists()

    def well(self) -> None:
        """No call hangs any more, no host is down, and no reload fails."""
        for path in (self.directory / "hang", self.directory / "hanging", *self.directory.glob("[db][or]*-*")):
            path.unlink(missing_ok=True)

    def down(self, name: str) -> None:
        (self.directory / f"down-{name}").touch()

    def breaks(self, name: str) -> None:
        """Its systemctl fails."""
        (self.directory / f"broken-{name}").touch()

    def asked(self, name: str) -> list[str]:
        """What its systemctl was asked to do."""
        path = self.directory / "systemctl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.partition(" ")[2] for line in lines if line.split()[0] == name]
