# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures: what was measured, its limit, and how both are printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


class MeasurementError(Exception):
    """A figure could not be measured; the message says what went wrong."""


@dataclass(frozen=True)
class Measurement:
    """One printed line.

    :param name: what was measured, with its unit.
    :param value: what came out.
    :param limit: the most that is allowed; None: for information.
    """

    name: str
    value: float
    limit: float | None

    @property
    def over(self) -> bool:
        """Whether the value is over its limit; what is no number is."""
        return self.limit is not None and not self.value <= self.limit

    def line(self) -> str:
        """Return name, value, limit and verdict as a line."""
        limit = "-" if self.limit is None else f"{self.limit:.2f}"
        verdict = "-" if self.limit is None else "over" if self.over else "ok"
        return f"{self.name:<75} {self.value:>10.2f} {limit:>8} {verdict}"


#: Measures in that many rounds.
Figure = Callable[[int], Iterable[Measurement]]


def report(figures: Mapping[str, Figure], rounds: int) -> int:
    """Measure figures one after another, print each line as soon as it is known and return the exit status.

    :param figures: name -> what measures it.
    :param rounds: how often each is measured; medians are compared.
    :returns: 1 when something is over its limit or could not be measured, else 0.
    """
    status = 0
    print(f"{'figure':<75} {'measured':>10} {'limit':>8}", flush=True)
    for name, measure in figures.items():
        try:
            for measurement in measure(rounds):
                print(measurement.line(), flush=True)
                status |= measurement.over
        except MeasurementError as error:
            print(f"{name}: could not be measured: {error}", flush=True)
            status = 1
    return status
