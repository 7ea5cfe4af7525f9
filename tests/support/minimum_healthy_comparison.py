# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the ledger's rules with the model in every state that a deployment can get into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from support.minimum_healthy_model import Model, reachable

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import (
    Candidate,
    LedgerState,
    conclusion,
    decide,
)


def state_of(model: Model) -> LedgerState:
    """Count a model's instances as the ledger does."""
    pending = model.pending()
    return LedgerState(
        total=len(model.letters) + len(model.outside),
        minimum_healthy=model.minimum,
        pending=len(pending),
        in_progress=model.letters.count("W"),
        succeeded=model.letters.count("S"),
        failed=model.letters.count("F"),
        healthy_available=len(model.serving()),
        unhealthy_pending=sum(not model.healthy_before[place] for place in pending),
    )


def compare(model: Model) -> int:
    """Assert that the ledger says what the model says and that this keeps the promise; returns how much was compared.

    The promise: no more out of service than the minimum allows, no healthy instance started that is needed to keep it,
    and no state in which everybody waits.
    """
    state = state_of(model)
    pending = model.pending()
    assert model.out_of_service() <= model.allowed_out(), model
    answers = set()
    for place in pending:
        healthy = model.healthy_before[place]
        action = decide(state, Candidate(f"i{place}", healthy)).action
        assert action == model.answer(place), (model, place)
        answers.add(action)
        if action == "go":
            after = model.become(place, "W")
            assert after.out_of_service() <= after.allowed_out(), (model, place)
            assert not healthy or len(after.serving()) >= model.minimum, (model, place)
    verdict = conclusion(state)
    assert (verdict.status if verdict else None) == model.verdict(), model
    if verdict and verdict.status == "Failed":
        assert verdict.code == "HEALTH_CONSTRAINTS", model
        assert answers <= {"stop"}, model
    assert verdict or "W" in model.letters or "go" in answers, model
    return len(pending) + 1


def compare_deployments(healths: Iterable[Sequence[bool]], limited_to: int | None = None) -> tuple[int, int]:
    """Compare every deployment to fleets that begin with the given health, for every minimum that is possible.

    :param healths: for each fleet whether each instance is healthy before.
    :param limited_to: the deployment is to that many instances of each fleet, the first ones; None: all.
    :returns: number of states and of decisions and verdicts compared.
    """
    states = compared = 0
    for healthy in healths:
        for minimum in range(len(healthy)):
            chosen, outside = healthy[:limited_to], healthy[limited_to:] if limited_to else ()
            for model in reachable(chosen, minimum, outside):
                states += 1
                compared += compare(model)
    return states, compared
