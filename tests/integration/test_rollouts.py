# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of ansible-playbook with instances that fail, take too long or are not reachable, against the model.

``make rollouts`` runs all cases; else some are run that have in them whatever a case can have.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from support.controller import Controller
from support.rollout_cases import RolloutCase, all_cases
from support.rollout_runs import RolloutRuns

ALL = "CODEDEPLOY_TEST_ALL_ROLLOUTS" in os.environ
TOGETHER = 40
# Cases wait for scripts that take too long, so that more are run at once than there are processors.
AT_ONCE = 8 if ALL else 4


def chosen_cases() -> list[RolloutCase]:
    """Give all cases, or some that have every kind of configuration, and every fate, in both rollouts."""
    cases = all_cases()
    random.Random(1).shuffle(cases)
    if ALL:
        return cases
    seen: set[tuple[str, ...]] = set()
    chosen = []
    for case in cases:
        has = {(case.rollout, case.config.partition(",")[0]), *((case.rollout, fate) for fate in case.fates)}
        if has - seen:
            seen |= has
            chosen.append(case)
    return chosen


CASES = chosen_cases()


@pytest.mark.parametrize("first", range(0, len(CASES), TOGETHER))
def test_rollouts_are_as_the_model_says(controller: Controller, tmp_path: Path, first: int) -> None:
    (tmp_path / "runs").mkdir()
    cases = CASES[first : first + TOGETHER]
    differences = RolloutRuns(controller, tmp_path / "runs", cases).differences(AT_ONCE)
    assert differences == []
    print(f"{len(cases)} rollouts to {sum(len(case.fates) for case in cases)} instances")
