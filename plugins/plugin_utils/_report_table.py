# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text for people: tables, times, durations."""

from __future__ import annotations

import time
from collections.abc import Sequence

NOTHING = "-"


def table(titles: Sequence[str], rows: Sequence[Sequence[object]], indent: int = 2) -> list[str]:
    """Return the lines of a table whose columns are as wide as what is in them."""
    cells = [[str(cell) if cell not in (None, "") else NOTHING for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(titles), *cells]) for column in range(len(titles))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in [list(titles), *cells]
    ]
    return [" " * indent + line.rstrip() for line in lines]


def pairs(rows: Sequence[tuple[str, object]], indent: int = 2) -> list[str]:
    """Return lines of names and values, leaving out what has no value."""
    shown = [(name, str(value)) for name, value in rows if value not in (None, "")]
    width = max((len(name) for name, _value in shown), default=0)
    return [" " * indent + f"{name.ljust(width)}  {value}" for name, value in shown]


def moment(seconds: float | None) -> str:
    """Return a time in the controller's zone, to the second."""
    if seconds is None:
        return NOTHING
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def elapsed(start: float | None, end: float | None) -> str:
    """Return how long something took."""
    if start is None or end is None:
        return NOTHING
    seconds = max(end - start, 0)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def counted(number: int, thing: str, things: str | None = None) -> str:
    """Return a number of things: C(1 instance), C(2 instances).

    :param things: the plural, when it is not the singular with an s.
    """
    return f"{number} {thing if number == 1 else things or thing + 's'}"
