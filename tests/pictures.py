# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m tests.pictures``: the pictures of the README, drawn from what really ran.

demo.svg is the terminal of ``make demo``. report.png is the page that a fleet's run has written, in which one network
is gone; Chromium draws it, and without a Chromium the picture stays as it is, which is said.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.sandbox.scenery import Scenery, private_directory

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
_COLUMNS = 122
# Rich's own frame loads a font from a content delivery network.
_FRAME = """<svg viewBox="0 -4 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px;
  line-height: {line_height}px; }}
{styles}
</style>
<rect y="-4" fill="#101418" width="100%" height="100%" rx="8"/>
<g transform="translate(12, 12)" class="{unique_id}-matrix">{backgrounds}{matrix}</g>
</svg>
"""


def terminal(command: t.Sequence[str]) -> str:
    """What the command writes to a terminal, with its colours and without the lines that it took back."""
    parent, child = pty.openpty()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=child, stderr=child) as process:
        os.close(child)
        written = b"".join(iter(lambda: _read(parent), b""))
    os.close(parent)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return re.sub(r"[^\n]*\r\x1b\[K", "", written.decode().replace("\r\n", "\n"))


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # the other end is closed
        return b""


def drawn(text: str) -> str:
    """The terminal's text as SVG."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=_COLUMNS, file=nowhere, legacy_windows=False)
        console.print(Text.from_ansi(text.strip("\n")))
        return console.export_svg(code_format=_FRAME, unique_id="demo")


def report(picture: Path) -> bool:
    """Draw the report of a fleet with one account that fails; False where there is no Chromium."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        return False
    with private_directory() as directory, Scenery(directory) as scenery:
        scenery.meraki.networks.clear()  # as if somebody had removed it
        folder = directory / "report"
        command = [*scenery.fleet_command(), "-e", f"keyturn_report_dir={folder}"]
        subprocess.run(command, check=False, env=scenery.child_environment(), stdout=subprocess.DEVNULL)
        page = f"file://{folder / 'rotation.html'}"
        flags = ("--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1100,860")
        subprocess.run(
            [browser, *flags, f"--screenshot={picture}", page],
            check=True,
            stderr=subprocess.DEVNULL,
        )
    return True


def main() -> int:
    (PICTURES / "demo.svg").write_text(drawn(terminal([sys.executable, "-m", "tests.sandbox.demo"])), encoding="utf-8")
    print("demo.svg: drawn")
    print("report.png:", "drawn" if report(PICTURES / "report.png") else "skipped, there is no Chromium")
    return 0


if __name__ == "__main__":
    sys.exit(main())
