# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random deployments of up to 50 instances, by several processes at once, against the model.

``make rollouts`` runs 5,000 on each database, else some are run. A failure shows the schedule with its seed, and the
steps in the order in which the ledger took them.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from support.processes import forked, in_processes
from support.random_schedules import OrderedStore, begin, compare, schedule_of, work

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import get_deployment

PROCESSES = 4
TOGETHER = 25
ALL = 5000 if "CODEDEPLOY_TEST_ALL_ROLLOUTS" in os.environ else TOGETHER


@pytest.mark.parametrize("first", range(0, ALL, TOGETHER))
def test_random_schedules_are_as_the_model_says(store_location: str, first: int) -> None:
    store = OrderedStore(store_location)
    schedules = [schedule_of(seed) for seed in range(first, first + TOGETHER)]
    begun = [(schedule, begin(store, schedule)) for schedule in schedules]
    together = forked.Barrier(PROCESSES)
    results = in_processes(work, [(store, begun, number, together) for number in range(PROCESSES)])
    compared = 0
    ended: Counter[str] = Counter()
    for (schedule, deployment_id), parts in zip(begun, zip(*results, strict=True), strict=True):
        compared += compare(store, schedule, deployment_id, [step for part in parts for step in part])
        ended[get_deployment(store, deployment_id).status] += 1
    store.close()
    instances = sum(len(schedule.taking_part) for schedule in schedules)
    print(f"{instances} instances, {compared} steps compared, {dict(ended)}")
    assert ended.total() == TOGETHER
