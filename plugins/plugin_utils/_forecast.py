# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a deployment would go: how long it takes, by what its instances took before, and how it would end. Pure."""

from __future__ import annotations

import dataclasses
import heapq
import statistics
import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import InstanceHealth
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import (
    Candidate,
    LedgerState,
    Verdict,
    conclusion,
    decide,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._zones import zone_verdict


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


def duration(
    parts: t.Sequence[tuple[t.Sequence[str], int, int]], seconds: t.Mapping[str, float], rollout: str
) -> float:
    """How long a deployment takes whose parts, zones, are deployed to one after the other.

    :param parts: the instances of each, how many of them are in work at once, and seconds of its bake.
    """
    # After the last zone nothing waits for the end of its bake.
    bakes = sum(bake for _part, _window, bake in parts[:-1])
    return bakes + sum(makespan(part, seconds, window, rollout) for part, window, _bake in parts)


@dataclasses.dataclass(frozen=True)
class ZoneOutlook:
    """One zone of a deployment that is forecast: how many instances of it there are, must stay healthy, and are."""

    name: str
    total: int
    minimum_healthy: int
    healthy: int


def outcome(
    order: t.Sequence[InstanceHealth],
    failing: t.Collection[str],
    healthy: int,
    total: int,
    minimum: int,
    zones: t.Sequence[ZoneOutlook] = (),
    zone_of: t.Mapping[str, str] | None = None,
) -> tuple[Verdict, list[str]]:
    """How a deployment would end by the rules, one instance after the other.

    :param order: its instances as they are started.
    :param failing: those on which it would fail.
    :param healthy: how many instances of the whole group are healthy now; ``total`` how many it has, ``minimum`` how
        many must stay healthy.
    :param zones: those of a zonal configuration, in their order; ``zone_of`` has the zone of each instance.
    :returns: the verdict, and the instances that would be reached.
    """
    if not order:
        return Verdict("Succeeded"), []
    whole = _begin(order, healthy, total, minimum)
    reached: list[str] = []
    of_all: t.Sequence[ZoneOutlook | None] = zones or [None]
    for zone in of_all:
        part = [one for one in order if zone is None or (zone_of or {})[one.name] == zone.name]
        own = _begin(part, zone.healthy, zone.total, zone.minimum_healthy) if zone else None
        for instance in part:
            # Unhealthy instances of later zones are not expected while this one is deployed to.
            seen = dataclasses.replace(whole, unhealthy_pending=own.unhealthy_pending) if own else whole
            candidate = Candidate(instance.name, bool(instance.healthy))
            if any(decide(state, candidate).action != "go" for state in (seen, own) if state):
                verdict = (zone_verdict(own, zone.name) if own and zone else None) or conclusion(seen)
                return _certain(verdict), reached
            reached.append(instance.name)
            failed = instance.name in failing
            whole = _after(whole, instance, failed)
            own = _after(own, instance, failed) if own else None
    return _certain(conclusion(whole)), reached


def _begin(part: t.Sequence[InstanceHealth], healthy: int, total: int, minimum: int) -> LedgerState:
    return LedgerState(total, minimum, len(part), 0, 0, 0, healthy, sum(not instance.healthy for instance in part))


def _after(state: LedgerState, instance: InstanceHealth, failed: bool) -> LedgerState:
    return dataclasses.replace(
        state,
        pending=state.pending - 1,
        succeeded=state.succeeded + (not failed),
        failed=state.failed + failed,
        healthy_available=state.healthy_available + (not failed) - bool(instance.healthy),
        unhealthy_pending=state.unhealthy_pending - (not instance.healthy),
    )


def _certain(verdict: Verdict | None) -> Verdict:
    if verdict is None:
        raise AssertionError("the rules neither start an instance nor end the deployment")
    return verdict
