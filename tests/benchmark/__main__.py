# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the figures of ``make bench``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from benchmark import fleet, install, minimum_healthy, rollout, scale, store
from benchmark.figures import Figure, report

FIGURES: dict[str, Figure] = {
    "fleet": fleet.measure,
    "scale": scale.measure,
    "rollout": rollout.measure,
    "many-files": install.measure_many,
    "large-file": install.measure_large,
    "minimum-healthy": minimum_healthy.measure,
    "transactions": store.measure_transactions,
    "ledger": store.measure_cost,
}


def main(arguments: Sequence[str], figures: Mapping[str, Figure]) -> int:
    """Print one line a figure; the exit status is 1 when one is over its limit."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--figure", action="append", choices=list(figures), help="only this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured, 3 unless told otherwise")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return report({name: figures[name] for name in options.figure or figures}, options.rounds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], FIGURES))
