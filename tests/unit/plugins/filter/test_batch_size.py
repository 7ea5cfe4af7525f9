# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that give somebody's own play its serial and max_fail_percentage."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.agentless.codedeploy.plugins.filter.batch_size import FilterModule as BatchSize
from ansible_collections.agentless.codedeploy.plugins.filter.max_fail_percentage import (
    FilterModule as MaxFailPercentage,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import LedgerState, conclusion

batch_size = BatchSize().filters()["batch_size"]
max_fail_percentage = MaxFailPercentage().filters()["max_fail_percentage"]


@pytest.mark.parametrize(
    ("hosts", "config", "size", "percentage"),
    [
        (["a", "b", "c"], "HalfAtATime", 1, 0),
        (["a", "b", "c"], "AllAtOnce", 3, 67),
        (9, "HalfAtATime", 4, 75),
        ("9", "CodeDeployDefault.HalfAtATime", 4, 75),
        (9, {"minimum_healthy_hosts": {"type": "FLEET_PERCENT", "value": 40}}, 5, 80),
        (1, "OneAtATime", 1, 0),
        ([], "HalfAtATime", 1, 0),
        (0, "HalfAtATime", 1, 0),
        (200, "AllAtOnce", 200, 100),
    ],
)
def test_values(hosts: Any, config: Any, size: int, percentage: int) -> None:
    assert batch_size(hosts, config) == size
    assert max_fail_percentage(hosts, config) == percentage


@pytest.mark.parametrize("apply", [batch_size, max_fail_percentage])
@pytest.mark.parametrize(
    ("hosts", "config", "code"),
    [
        (1, "HalfAtATime", "HEALTH_CONSTRAINTS_INVALID"),
        (3, {"type": "HOST_COUNT", "value": 3}, "HEALTH_CONSTRAINTS_INVALID"),
        (3, {"type": "FLEET_PERCENT", "value": 100}, "InvalidMinimumHealthyHostValue"),
        (3, "QuarterAtATime", "DeploymentConfigDoesNotExist"),
        # Also where there are no hosts yet: a syntax check is to find a wrong name.
        ([], "QuarterAtATime", "DeploymentConfigDoesNotExist"),
        ("web", "HalfAtATime", "InvalidInput"),
        (-1, "HalfAtATime", "InvalidInput"),
        (True, "HalfAtATime", "InvalidInput"),
    ],
)
def test_what_is_not_possible_fails(apply: Any, hosts: Any, config: Any, code: str) -> None:
    with pytest.raises(AnsibleFilterError, match=code):
        apply(hosts, config)


def test_the_default_is_one_at_a_time() -> None:
    assert batch_size(7) == 1
    assert max_fail_percentage(7) == 0


def test_ansible_stops_no_batch_that_codedeploy_lets_go_on() -> None:
    """Ansible stops when failed / batch > percentage / 100; here some are left and something is pending."""
    for total in range(1, 260):
        for minimum in sorted({0, total // 3, total // 2, total - 1}):
            config = {"type": "HOST_COUNT", "value": minimum}
            size, percentage = batch_size(total, config), max_fail_percentage(total, config)
            for batch in sorted({min(size, total), total % size or size}):
                for failed in range(batch):
                    state = LedgerState(
                        total, minimum, pending=1, in_progress=0, succeeded=0, failed=failed, healthy_available=0,
                        unhealthy_pending=1,
                    )  # fmt: skip
                    if conclusion(state) is None:
                        assert not failed / batch > percentage / 100.0, (total, minimum, batch, failed)


def test_ansible_stops_after_a_batch_that_failed_as_a_whole() -> None:
    for total in range(1, 101):
        assert max_fail_percentage(total, "AllAtOnce") / 100.0 < 1.0
