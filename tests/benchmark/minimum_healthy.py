# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of minimum healthy hosts, compared with a model written from scratch, in every state of small fleets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from benchmark.figures import Measurement
from support.minimum_healthy_comparison import compare_deployments

LARGEST = 8
#: The largest fleet that is compared with every health before the deployment; larger ones are all healthy or all new.
LARGEST_WITH_EVERY_HEALTH = 5


def measure(rounds: int) -> Iterator[Measurement]:
    """Compare once, whatever the rounds: there is nothing to chance in it."""
    total_states = total_compared = fleets_that_differ = 0
    for total in range(1, LARGEST + 1):
        every = itertools.product((False, True), repeat=total)
        healths = every if total <= LARGEST_WITH_EVERY_HEALTH else [(False,) * total, (True,) * total]
        for health in healths:
            try:
                states, compared = compare_deployments([health])
            except AssertionError:
                fleets_that_differ += 1
                continue
            total_states += states
            total_compared += compared
    yield Measurement("minimum healthy: fleets in which a decision differs from the model", fleets_that_differ, 0)
    yield Measurement("minimum healthy: states compared", total_states, None)
    yield Measurement("minimum healthy: decisions and verdicts compared", total_compared, None)
