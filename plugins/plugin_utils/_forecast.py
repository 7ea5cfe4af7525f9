# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a deployment would go: how long it takes, by what its instances took before, and how it would end. Pure."""

from __future__ import annotations

import heapq
import statistics
import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import InstanceHealth
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import (
    Candidate,
    Decision,
    LedgerState,
    Verdict,
    conclusion,
    decide,
)


def expected_seconds(order: t.Sequence[str], former: t.Mapping[str, t.Sequence[float]]) -> dict[str, float] | None:
    """How long each instance will take: the median of what it took before, or of what all others did.

    :param former: seconds of former successful deployments by instance.
    :returns: None when nothing is known.
    """
    medians = {name: statistics.median(seconds) for name, seconds in former.items() if seconds}
    if not medians:
        return None
    usual = statistics.median(medians.values())
    return {name: medians.get(name, usual) for name in order}


def batches_of(order: t.Sequence[str], window: int) -> list[list[str]]:
    """The batches in which instances are deployed to when each begins after the end of the one before."""
    return [list(order[start : start + window]) for start in range(0, len(order), window)]


def makespan(order: t.Sequence[str], seconds: t.Mapping[str, float], window: int, rollout: str) -> float:
    """How long all instances take together, in seconds.

    :param window: how many are in work at once.
    :param rollout: ``window``, the next one starts when one is done, or ``batches``.
    """
    if rollout == "batches":
        return sum(max(seconds[name] for name in batch) for batch in batches_of(order, window))
    ends: list[float] = []
    for name in order:
        start = heapq.heappop(ends) if len(ends) >= window else 0.0
        heapq.heappush(ends, start + seconds[name])
    return max(ends, default=0.0)


def outcome(
    order: t.Sequence[InstanceHealth], failing: t.Collection[str], healthy: int, total: int, minimum: int
) -> tuple[Verdict, list[str]]:
    """How a deployment would end by the rules, one instance after the other.

    :param order: its instances as they are started.
    :param failing: those on which it would fail.
    :param healthy: how many instances of the whole group are healthy now; ``total`` how many it has, ``minimum`` how
        many must stay healthy.
    :returns: the verdict, and the instances that would be reached.
    """
    unhealthy = sum(not instance.healthy for instance in order)
    state = LedgerState(total, minimum, len(order), 0, 0, 0, healthy, unhealthy)
    reached = []
    for instance in order:
        decision: Decision = decide(state, Candidate(instance.name, bool(instance.healthy)))
        if decision.action != "go":
            break
        reached.append(instance.name)
        failed = instance.name in failing
        state = LedgerState(
            total,
            minimum,
            state.pending - 1,
            0,
            state.succeeded + (not failed),
            state.failed + failed,
            state.healthy_available + (not failed) - bool(instance.healthy),
            state.unhealthy_pending - (not instance.healthy),
        )
    if not order:
        return Verdict("Succeeded"), []
    verdict = conclusion(state)
    if verdict is None:
        raise AssertionError("the rules neither start an instance nor end the deployment")
    return verdict, reached
