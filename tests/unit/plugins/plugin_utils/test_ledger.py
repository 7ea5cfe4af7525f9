# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known deployments: how many failures are tolerated, and the course of some."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.minimum_healthy_comparison import state_of
from support.minimum_healthy_model import Model

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import (
    Candidate,
    LedgerState,
    conclusion,
    decide,
)


def deploy(results: str, minimum: int, healthy: bool = True) -> str:
    """Deploy in waves as wide as the ledger allows; the results are S or F for each instance, in order.

    :returns: how each instance ended, P for those that were never started, and the verdict.
    """
    model = Model("P" * len(results), (healthy,) * len(results), minimum)
    while not conclusion(state_of(model)):
        for place in model.pending():
            if decide(state_of(model), Candidate(f"i{place}", healthy)).action == "go":
                model = model.become(place, "W")
        for place, letter in enumerate(model.letters):
            if letter == "W":
                model = model.become(place, results[place])
    verdict = conclusion(state_of(model))
    assert verdict
    return f"{model.letters} {verdict.status}"


@pytest.mark.parametrize(
    ("total", "minimum", "anywhere", "last"),
    [
        (1, 0, 0, 0),
        (2, 1, 0, 1),
        (3, 2, 0, 1),
        (3, 1, 1, 2),
        (4, 2, 1, 2),
        (4, 3, 0, 1),
        (9, 0, 8, 8),
        (9, 5, 3, 4),
        (9, 8, 0, 1),
        (9, 6, 2, 3),
        (9, 4, 4, 5),
        (9, 7, 1, 2),
        (10, 9, 0, 1),
        (10, 8, 1, 2),
        (10, 3, 6, 7),
        (10, 0, 9, 9),
        (100, 75, 24, 25),
        (100, 95, 4, 5),
        (100, 99, 0, 1),
    ],
)
@pytest.mark.parametrize("healthy", [False, True], ids=["first deployment", "healthy fleet"])
def test_tolerated_failures(total: int, minimum: int, anywhere: int, last: int, healthy: bool) -> None:
    early = "F" * anywhere + "S" * (total - anywhere)
    assert deploy(early, minimum, healthy) == f"{early} Succeeded"
    late = "S" * (total - last) + "F" * last
    assert deploy(late, minimum, healthy) == f"{late} Succeeded"
    too_many = "S" * (total - last - 1) + "F" * (last + 1)
    assert deploy(too_many, minimum, healthy).endswith("Failed")
    if anywhere + 1 < total:
        one_more = "F" * (anywhere + 1) + "S" * (total - anywhere - 1)
        assert deploy(one_more, minimum, healthy).endswith("Failed")


def test_half_of_nine() -> None:
    assert deploy("FFFFSSSSS", 5) == "FFFFPPPPP Failed"
    assert deploy("SSSSSFFFF", 5) == "SSSSSFFFF Succeeded"


def test_eight_of_ten_must_stay_healthy() -> None:
    assert deploy("FSSSSSSSSS", 8) == "FSSSSSSSSS Succeeded"
    assert deploy("FSSSFSSSSS", 8) == "FSSSFPPPPP Failed"
    assert deploy("FSSSSSSSSF", 8) == "FSSSSSSSSF Succeeded"


def test_an_early_failure_leaves_one_slot_less() -> None:
    state = LedgerState(
        10, 8, pending=8, in_progress=1, succeeded=0, failed=1, healthy_available=8, unhealthy_pending=0
    )
    assert decide(state, Candidate("i", True)).action == "wait"
    done = replace(state, in_progress=0, succeeded=1, healthy_available=9)
    assert decide(done, Candidate("i", True)).action == "go"


def test_a_group_that_begins_below_the_minimum_mends_its_unhealthy_instances_first() -> None:
    # Four instances, three must stay healthy, one is: a healthy one may not start, an unhealthy one may.
    state = LedgerState(4, 3, pending=4, in_progress=0, succeeded=0, failed=0, healthy_available=1, unhealthy_pending=3)
    assert decide(state, Candidate("healthy", True)).action == "wait"
    assert decide(state, Candidate("unhealthy", False)).action == "go"
    # The unhealthy ones are not expected any more: nothing may start and nothing is in work.
    lost = replace(state, unhealthy_pending=0)
    decision = decide(lost, Candidate("healthy", True))
    verdict = conclusion(lost)
    assert decision.action == "stop"
    assert verdict and (verdict.status, verdict.code) == ("Failed", "HEALTH_CONSTRAINTS")
    assert "1 of 4 instances are healthy and not in work, and 3 must stay healthy" in decision.reason


def test_stop() -> None:
    state = LedgerState(
        4,
        2,
        pending=3,
        in_progress=1,
        succeeded=0,
        failed=0,
        healthy_available=0,
        unhealthy_pending=3,
        stop_requested=True,
    )
    assert decide(state, Candidate("i", False)).action == "stop"
    assert conclusion(state) is None
    verdict = conclusion(replace(state, in_progress=0, succeeded=1))
    assert verdict and (verdict.status, verdict.code) == ("Stopped", "MANUAL_STOP")
