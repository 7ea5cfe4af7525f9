# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of minimum healthy hosts: may an instance start, and when and how does a deployment end. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

Action = t.Literal["go", "wait", "stop"]
FinalStatus = t.Literal["Succeeded", "Failed", "Stopped"]


@dataclass(frozen=True)
class LedgerState:
    """Counts of one deployment; everything that a decision depends on, whatever the size of the fleet.

    ``total`` is the whole deployment group, also when the deployment takes only some of its instances; ``pending``,
    ``in_progress``, ``succeeded`` and ``failed`` count the deployment's instances (an Unknown one is a failed one).
    ``healthy_available`` counts the instances of the group that are healthy and not in work: their last deployment
    succeeded, before this one or in it. ``unhealthy_pending`` counts the pending ones that were not healthy before and
    are still expected to start.
    """

    total: int
    minimum_healthy: int
    pending: int
    in_progress: int
    succeeded: int
    failed: int
    healthy_available: int
    unhealthy_pending: int
    stop_requested: bool = False

    @property
    def window(self) -> int:
        """The number of instances that may be out of service, in work or failed, at any time."""
        return self.total - self.minimum_healthy


@dataclass(frozen=True)
class Candidate:
    """A pending instance that asks to start."""

    name: str
    healthy_before: bool


@dataclass(frozen=True)
class Decision:
    """``go``: start now. ``wait``: ask again, others are in work. ``stop``: this deployment starts nothing any more."""

    action: Action
    reason: str


@dataclass(frozen=True)
class Verdict:
    """How a deployment ended; ``code`` and ``message`` are its ``errorInformation`` (None when it succeeded)."""

    status: FinalStatus
    code: str | None = None
    message: str | None = None


def decide(state: LedgerState, instance: Candidate) -> Decision:
    """May this pending instance start now?

    Instances in work and failed ones together never exceed the window. An instance that was healthy before starts only
    while that leaves the minimum healthy; one that was not cannot lower the number of healthy instances. Nothing starts
    once as many have failed as may be out of service.
    """
    if state.stop_requested:
        return Decision("stop", "The deployment was asked to stop.")
    if state.failed >= state.window:
        return Decision("stop", too_many_failed(state))
    if state.in_progress + state.failed >= state.window:
        return Decision("wait", f"{state.in_progress} in work and {state.failed} failed of at most {state.window}.")
    if instance.healthy_before and state.healthy_available - 1 < state.minimum_healthy:
        if state.in_progress or state.unhealthy_pending:
            return Decision("wait", too_few_healthy(state))
        return Decision("stop", too_few_healthy(state))
    return Decision("go", f"{state.in_progress} in work and {state.failed} failed of at most {state.window}.")


def decide_in_order(
    states: t.Sequence[LedgerState], earlier: t.Sequence[Candidate], instance: Candidate
) -> Decision | None:
    """Has a pending instance that may start to leave its place to others, which come before it in the order?

    As CodeDeploy does: a place goes to the first in the deployment's order.

    :param states: every state that has to let it start: of the group, and of its zone.
    :param earlier: pending instances before it in the order that ask to start, too.
    :returns: to wait, or None when there is a place for it also after these have started.
    """
    for one in earlier:
        if all(decide(state, one).action == "go" for state in states):
            states = [_started(state, one) for state in states]
    if all(decide(state, instance).action == "go" for state in states):
        return None
    return Decision("wait", f"Before it comes {', '.join(one.name for one in earlier)}.")


def _started(state: LedgerState, instance: Candidate) -> LedgerState:
    healthy = instance.healthy_before
    return replace(
        state,
        pending=state.pending - 1,
        in_progress=state.in_progress + 1,
        healthy_available=state.healthy_available - healthy,
        unhealthy_pending=state.unhealthy_pending - (not healthy),
    )


def conclusion(state: LedgerState) -> Verdict | None:
    """Has the deployment ended, and how?

    It ends when nothing is in work and nothing pending may start. It failed when something pending is left; it succeeds
    when no more failed than may be out of service (which on a whole group is: the minimum is healthy) and at least one
    instance succeeded. So a failure that uses up the limit is forgiven when nothing is pending.

    :returns: None while the deployment goes on.
    """
    if state.in_progress:
        return None
    if state.stop_requested:
        return Verdict("Stopped", "MANUAL_STOP", "The deployment was stopped by a user.")
    if state.pending:
        if state.failed >= state.window:
            return Verdict("Failed", "HEALTH_CONSTRAINTS", too_many_failed(state))
        if not state.unhealthy_pending and state.healthy_available - 1 < state.minimum_healthy:
            return Verdict("Failed", "HEALTH_CONSTRAINTS", too_few_healthy(state))
        return None
    if state.failed > state.window:
        return Verdict("Failed", "HEALTH_CONSTRAINTS", too_many_failed(state))
    if not state.succeeded:
        return Verdict("Failed", "HEALTH_CONSTRAINTS", "No instance succeeded; a deployment needs at least one.")
    return Verdict("Succeeded")


def too_many_failed(state: LedgerState) -> str:
    """Say why nothing more may start after failures."""
    return (
        f"{state.failed} of {state.total} instances failed and {state.minimum_healthy} must stay healthy, "
        "so that no further instance may be started."
    )


def too_few_healthy(state: LedgerState) -> str:
    """Say why no healthy instance may be taken out of service."""
    return (
        f"{state.healthy_available} of {state.total} instances are healthy and not in work, and "
        f"{state.minimum_healthy} must stay healthy, so that no healthy one may be taken out of service. "
        "Deploy to the others first (without --limit), or with another deployment configuration."
    )
