# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployment configurations, and how many instances they keep healthy."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import (
    HealthConstraintsInvalid,
    InvalidDeploymentConfig,
    NoInstances,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import (
    DeploymentConfig,
    InstanceHealth,
    batch_size_of,
    deployment_config,
    deployment_order,
    minimum_healthy_hosts,
)


def custom(kind: str, value: Any) -> dict[str, Any]:
    return {"minimum_healthy_hosts": {"type": kind, "value": value}}


# The worked table: instances, configuration, minimum healthy, at once (None: refused), waves without a failure, and how
# many failures are tolerated wherever they occur and at the end.
WORKED_TABLE: list[tuple[int, Any, int, list[int] | None, int, int]] = [
    (1, "OneAtATime", 0, [1], 0, 0),
    (1, "HalfAtATime", 1, None, 0, 0),
    (1, custom("FLEET_PERCENT", 1), 1, None, 0, 0),
    (1, custom("HOST_COUNT", 1), 1, None, 0, 0),
    (1, custom("HOST_COUNT", 2), 2, None, 0, 0),
    (1, "AllAtOnce", 0, [1], 0, 0),
    (2, "OneAtATime", 1, [1, 1], 0, 1),
    (2, "HalfAtATime", 1, [1, 1], 0, 1),
    (2, custom("HOST_COUNT", 1), 1, [1, 1], 0, 1),
    (2, custom("FLEET_PERCENT", 40), 1, [1, 1], 0, 1),
    (2, custom("FLEET_PERCENT", 75), 2, None, 0, 0),
    (3, "HalfAtATime", 2, [1, 1, 1], 0, 1),
    (3, custom("HOST_COUNT", 1), 1, [2, 1], 1, 2),
    (4, "HalfAtATime", 2, [2, 2], 1, 2),
    (4, custom("FLEET_PERCENT", 75), 3, [1] * 4, 0, 1),
    (4, custom("FLEET_PERCENT", 85), 4, None, 0, 0),
    (4, custom("FLEET_PERCENT", 95), 4, None, 0, 0),
    (4, custom("FLEET_PERCENT", 99), 4, None, 0, 0),
    (9, "AllAtOnce", 0, [9], 8, 8),
    (9, "HalfAtATime", 5, [4, 4, 1], 3, 4),
    (9, "OneAtATime", 8, [1] * 9, 0, 1),
    (9, custom("HOST_COUNT", 6), 6, [3, 3, 3], 2, 3),
    (9, custom("FLEET_PERCENT", 40), 4, [5, 4], 4, 5),
    (9, custom("FLEET_PERCENT", 75), 7, [2, 2, 2, 2, 1], 1, 2),
    (10, custom("HOST_COUNT", 9), 9, [1] * 10, 0, 1),
    (10, custom("HOST_COUNT", 8), 8, [2] * 5, 1, 2),
    (10, custom("HOST_COUNT", 3), 3, [7, 3], 6, 7),
    (10, custom("HOST_COUNT", 0), 0, [10], 9, 9),
    (10, custom("FLEET_PERCENT", 85), 9, [1] * 10, 0, 1),
    (10, custom("FLEET_PERCENT", 95), 10, None, 0, 0),
    (100, custom("FLEET_PERCENT", 75), 75, [25] * 4, 24, 25),
    (100, custom("FLEET_PERCENT", 95), 95, [5] * 20, 4, 5),
    (100, custom("FLEET_PERCENT", 99), 99, [1] * 100, 0, 1),
]


@pytest.mark.parametrize(("total", "config", "minimum", "waves", "_anywhere", "_last"), WORKED_TABLE)
def test_worked_table(
    total: int, config: Any, minimum: int, waves: list[int] | None, _anywhere: int, _last: int
) -> None:
    if waves is None:
        with pytest.raises(HealthConstraintsInvalid) as caught:
            minimum_healthy_hosts(deployment_config(config), total)
        assert caught.value.code == "HEALTH_CONSTRAINTS_INVALID"
        assert f"of {total} in the deployment group {minimum} must stay healthy" in caught.value.message
    else:
        assert minimum_healthy_hosts(deployment_config(config), total) == minimum
        size = batch_size_of(total, config)
        assert [min(size, total - start) for start in range(0, total, size)] == waves


def test_the_table_of_the_guide(checkout: Path) -> None:
    guide = (checkout / "docs" / "configurations.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in guide.splitlines()]
    rows = [row for row in rows if len(row) == 7 and row[0].isdigit()]
    known = {(total, str(config)): rest for total, config, *rest in WORKED_TABLE}
    for total, name, minimum, at_once, waves, anywhere, last in rows:
        kind, _space, value = name.partition(" ")
        config = custom(kind, int(value)) if value else kind
        expected = known[int(total), str(config)]
        assert int(minimum) == expected[0]
        if waves == "refused":
            assert expected[1] is None
            assert (at_once, anywhere, last) == ("-", "-", "-")
        else:
            assert [int(wave) for wave in waves.split("+")] == expected[1]
            assert [int(at_once), int(anywhere), int(last)] == [max(expected[1]), *expected[2:]]
    assert len(rows) == 16


def test_percentages_are_rounded_up_for_every_fleet() -> None:
    for total, percent in itertools.product(range(1, 201), range(100)):
        config = DeploymentConfig("c", "FLEET_PERCENT", percent)
        # The smallest number of instances that is at least the percentage.
        wanted = next(number for number in range(total + 1) if number * 100 >= total * percent)
        if wanted == total:
            with pytest.raises(HealthConstraintsInvalid):
                minimum_healthy_hosts(config, total)
        else:
            assert minimum_healthy_hosts(config, total) == wanted


def test_one_at_a_time_is_one_in_any_fleet() -> None:
    for total in range(1, 300):
        assert batch_size_of(total, "CodeDeployDefault.OneAtATime") == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("OneAtATime", DeploymentConfig("CodeDeployDefault.OneAtATime", "MOST_CONCURRENCY", 1)),
        ("CodeDeployDefault.HalfAtATime", DeploymentConfig("CodeDeployDefault.HalfAtATime", "FLEET_PERCENT", 50)),
        (" AllAtOnce\n", DeploymentConfig("CodeDeployDefault.AllAtOnce", "HOST_COUNT", 0)),
        ("type=HOST_COUNT,value=8", DeploymentConfig("HOST_COUNT=8", "HOST_COUNT", 8)),
        ("type=FLEET_PERCENT, value=75", DeploymentConfig("FLEET_PERCENT=75", "FLEET_PERCENT", 75)),
        ({"type": "HOST_COUNT", "value": "3"}, DeploymentConfig("HOST_COUNT=3", "HOST_COUNT", 3)),
        (
            {"deployment_config_name": "HalfAtATime"},
            DeploymentConfig("CodeDeployDefault.HalfAtATime", "FLEET_PERCENT", 50),
        ),
        (
            {"deployment_config_name": "Ours", "minimum_healthy_hosts": {"type": "FLEET_PERCENT", "value": 0}},
            DeploymentConfig("Ours", "FLEET_PERCENT", 0),
        ),
        (
            {
                "deploymentConfigInfo": {
                    "deploymentConfigId": "0b3c",
                    "deploymentConfigName": "ThreeQuarters",
                    "minimumHealthyHosts": {"type": "FLEET_PERCENT", "value": 75},
                    "computePlatform": "Server",
                }
            },
            DeploymentConfig("ThreeQuarters", "FLEET_PERCENT", 75),
        ),
        (
            {
                "deploymentConfigName": "CodeDeployDefault.OneAtATime",
                "minimumHealthyHosts": {"type": "MOST_CONCURRENCY", "value": 1},
            },
            DeploymentConfig("CodeDeployDefault.OneAtATime", "MOST_CONCURRENCY", 1),
        ),
    ],
)
def test_forms_of_a_configuration(value: Any, expected: DeploymentConfig) -> None:
    assert deployment_config(value) == expected
    assert deployment_config(expected) == expected


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("Sometimes", "DeploymentConfigDoesNotExist"),
        ("CodeDeployDefault.TwoAtATime", "DeploymentConfigDoesNotExist"),
        ("CodeDeployDefault.LambdaAllAtOnce", "DeploymentConfigDoesNotExist"),
        ("", "DeploymentConfigDoesNotExist"),
        (5, "InvalidDeploymentConfigName"),
        ({}, "InvalidMinimumHealthyHostValue"),
        (custom("FLEET_PERCENT", 100), "InvalidMinimumHealthyHostValue"),
        (custom("FLEET_PERCENT", -1), "InvalidMinimumHealthyHostValue"),
        (custom("HOST_COUNT", -1), "InvalidMinimumHealthyHostValue"),
        (custom("HOST_COUNT", 1.5), "InvalidMinimumHealthyHostValue"),
        (custom("HOST_COUNT", True), "InvalidMinimumHealthyHostValue"),
        (custom("HOST_COUNT", "many"), "InvalidMinimumHealthyHostValue"),
        (custom("MOST_CONCURRENCY", 1), "InvalidMinimumHealthyHostValue"),
        (custom("PERCENT", 1), "InvalidMinimumHealthyHostValue"),
        ({"minimum_healthy_hosts": {"type": "HOST_COUNT"}}, "InvalidMinimumHealthyHostValue"),
        ({**custom("HOST_COUNT", 1), "deployment_config_name": "a b"}, "InvalidDeploymentConfigName"),
        ({**custom("HOST_COUNT", 1), "deployment_config_name": "x" * 101}, "InvalidDeploymentConfigName"),
        (
            {**custom("HOST_COUNT", 1), "deployment_config_name": "CodeDeployDefault.Ours"},
            "InvalidDeploymentConfigName",
        ),
        (
            {**custom("HOST_COUNT", 1), "deployment_config_name": "CodeDeployDefault.AllAtOnce"},
            "InvalidDeploymentConfigName",
        ),
        ({**custom("HOST_COUNT", 1), "compute_platform": "Lambda"}, "InvalidComputePlatform"),
    ],
)
def test_wrong_configurations_are_refused(value: Any, code: str) -> None:
    with pytest.raises(InvalidDeploymentConfig) as caught:
        deployment_config(value)
    assert caught.value.code == code


def test_a_group_without_instances() -> None:
    with pytest.raises(NoInstances):
        minimum_healthy_hosts(deployment_config("AllAtOnce"), 0)
    assert batch_size_of([], "HalfAtATime") == 1


def test_order_is_unhealthy_unknown_old_current() -> None:
    instances = [
        InstanceHealth("current2", True, "Current"),
        InstanceHealth("old", True, "Old"),
        InstanceHealth("current1", True, "Current"),
        InstanceHealth("never", None, "Unknown"),
        InstanceHealth("lost", True, "Unknown"),
        InstanceHealth("failed-current", False, "Current"),
        InstanceHealth("failed-old", False, "Old"),
    ]
    assert deployment_order(instances) == [
        "failed-current",
        "failed-old",
        "never",
        "lost",
        "old",
        "current2",
        "current1",
    ]
