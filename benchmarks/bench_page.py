# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page docs/docsite/rst/performance.rst and its picture, from what benchmarks/bench.py has measured."""

from __future__ import annotations

import math
import typing as t
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
# antsibull-docs takes no pictures along.
_PICTURE = "https://raw.githubusercontent.com/keyturn/keyturn.credentials/main/docs/pictures/performance.svg"
_COLOURS = ("#0b6e4f", "#7d8597", "#c1121f")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 360, 70, 300
_RIGHT, _TOP = 470, 20
Curves = t.Mapping[str, t.Mapping[int, float]]

_HEAD = """.. Copyright (c) 2026 keyturn.credentials contributors
   GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
   SPDX-License-Identifier: GPL-3.0-or-later

.. _ansible_collections.keyturn.credentials.docsite.performance:

What a rotation costs
=====================

Where a task runs on the controller by Ansible's own Python (``ansible_connection: local`` and
``ansible_python_interpreter: "{{ ansible_playbook_python }}"``, as the inventory that Ansible makes for ``localhost``
has it), the modules run in a child of Ansible's own process: no second Python starts, and libraries are imported once.
With ``become``, ``async``, another interpreter or another host, they run as all modules do, with the same results.

The table is written by ``make bench``. Each line is a ratio of two things that ran in turn on one machine against local
servers; it is the median of the rounds' own ratios. A time on another machine will differ, a ratio much less.

What is loaded when Ansible has found the plugin of a module is hidden from Python's garbage collector, which would look
through all of it when the run ends: that alone is about an eighth of an empty playbook.

The goals are those of the change that brought this. What stops it above them: an empty playbook alone is 0.84 of what
cisco.meraki needs for one user and 0.17 of what it needs for a hundred; together with a thousand requests that a bare
script sends by requests it is 0.035 of what a thousand take there. A hundred Snowflake users are three statements each,
one after the other in the administrator's one session: at 50 ms these alone take 0.45 of what the former build did.
"""


def write(rows: t.Sequence[t.Any], curves: Curves, versions: str, base: str) -> None:
    """rows: of benchmarks.bench.Row. curves: {name: {number of users: CPU seconds}}."""
    (DOCS / "docsite" / "rst" / "performance.rst").write_text(page(rows, versions, base), encoding="utf-8")
    (DOCS / "pictures" / "performance.svg").write_text(picture(curves), encoding="utf-8")


def page(rows: t.Sequence[t.Any], versions: str, base: str) -> str:
    lines = [_HEAD, ".. list-table::", "   :header-rows: 1", ""]
    cells = [("work", "compared with", "ratio", "goal", "ours and theirs")]
    for row in rows:
        goal = "" if row.goal is None else f"{row.goal:g} ({'met' if row.ratio <= row.goal else 'missed'})"
        cells.append((row.work, row.peer, f"{row.ratio:.2f}", goal, f"{row.ours:.2f} and {row.theirs:.2f} {row.unit}"))
    for columns in cells:
        first, *others = (f"- {column}".rstrip() for column in columns)
        lines += [f"   * {first}", *(f"     {column}" for column in others)]
    lines += ["", f"Measured with {versions}. The former build is {base}.", "", f".. figure:: {_PICTURE}"]
    lines += ["   :alt: CPU seconds of a run against the number of Meraki users in it", ""]
    lines += ["   CPU of a whole run against the number of Meraki users in it, both axes logarithmic.", ""]
    return "\n".join(lines)


def picture(curves: Curves) -> str:
    """Lines over the number of users, both axes logarithmic."""
    points = [point for curve in curves.values() for point in curve.items()]
    counts = sorted({count for count, _seconds in points})
    low, high = (math.floor(math.log10(min(y for _x, y in points))), math.ceil(math.log10(max(y for _x, y in points))))

    def x(count: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * math.log10(count) / max(1.0, math.log10(counts[-1]))

    def y(seconds: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * (math.log10(seconds) - low) / max(1, high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
    ]
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(f'<path d="M{_LEFT} {at:.0f}H{_RIGHT}" stroke="#d8dbe0"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{at + 4:.0f}" text-anchor="end">{10.0**power:g} s</text>')
    parts += [f'<text x="{x(count):.0f}" y="{_BOTTOM + 20}" text-anchor="middle">{count}</text>' for count in counts]
    parts.append(
        f'<text x="{(_LEFT + _RIGHT) / 2:.0f}" y="{_BOTTOM + 45}" text-anchor="middle">users in the run</text>'
    )
    ends: list[float] = []
    drawn = [(name, curve, colour) for (name, curve), colour in zip(curves.items(), _COLOURS, strict=True) if curve]
    # From the highest, so that names which make way for each other keep the order of their lines.
    for name, curve, colour in sorted(drawn, key=lambda each: -each[1][max(each[1])]):
        way = " ".join(f"{x(count):.1f},{y(seconds):.1f}" for count, seconds in sorted(curve.items()))
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        end = y(curve[max(curve)]) + 4
        while any(abs(end - other) < 16 for other in ends):
            end += 16
        ends.append(end)
        parts.append(f'<text x="{x(max(curve)) + 8:.0f}" y="{end:.0f}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])
