# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zonal configurations: read, planned, and decided by the record."""

from __future__ import annotations

import random
from typing import Any

import pytest
from support.deployments import request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ask_to_start,
    conclude,
    create_deployment,
    finish_instance,
    get_deployment,
    get_targets,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import (
    HealthConstraintsInvalid,
    InvalidDeploymentConfig,
    InvalidInput,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import (
    ZonalConfig,
    deployment_config,
    without_zones,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._zones import (
    Zone,
    order_of_zones,
    serial_of_zones,
    zones_of,
)

LONG = 100_000


def zonal(minimum: int, of_zone: int, monitor: int = 0, **more: Any) -> dict[str, Any]:
    """Return a configuration with HOST_COUNT for the whole and for each zone."""
    return {
        "minimum_healthy_hosts": {"type": "HOST_COUNT", "value": minimum},
        "zonal_config": {
            "minimum_healthy_hosts_per_zone": {"type": "HOST_COUNT", "value": of_zone},
            "monitor_duration_in_seconds": monitor,
            **more,
        },
    }


@pytest.fixture
def store(store_location: str) -> Store:
    return open_store(store_location)


def create(store: Store, fleet: str, config: dict[str, Any], **more: Any) -> str:
    """Create a deployment to instances called after their zone: C(a1 a2 b1)."""
    names = fleet.split()
    zone_of = {name: name[0] for name in names}
    order = sorted(set(zone_of.values()))
    return create_deployment(store, request(names, config, zone_of=zone_of, zone_order=order, **more)).deployment_id


def answers(store: Store, deployment_id: str, fleet: str) -> list[str]:
    return [ask_to_start(store, deployment_id, name).action for name in fleet.split()]


def end(store: Store, deployment_id: str, fleet: str, status: Any = "Succeeded") -> str:
    return [finish_instance(store, deployment_id, name, status) for name in fleet.split()][-1]


def test_both_spellings_and_the_defaults() -> None:
    minimum = {"type": "FLEET_PERCENT", "value": 50}
    api = {
        "deploymentConfigName": "Zonal",
        "minimumHealthyHosts": minimum,
        "zonalConfig": {"firstZoneMonitorDurationInSeconds": 5, "minimumHealthyHostsPerZone": minimum},
    }
    assert deployment_config(api).zonal == ZonalConfig("FLEET_PERCENT", 50, 5, 0)
    snake = {"minimum_healthy_hosts": minimum, "zonal_config": {"monitor_duration_in_seconds": "7"}}
    assert deployment_config(snake).zonal == ZonalConfig("FLEET_PERCENT", 0, 7, 7)
    assert deployment_config(without_zones(snake)).zonal is None
    assert without_zones("HalfAtATime") == "HalfAtATime"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ([1], "InvalidZonalDeploymentConfiguration"),
        ({"monitor_seconds": 1}, "InvalidZonalDeploymentConfiguration"),
        ({"monitor_duration_in_seconds": -1}, "InvalidZonalDeploymentConfiguration"),
        ({"monitor_duration_in_seconds": "long"}, "InvalidZonalDeploymentConfiguration"),
        ({"minimum_healthy_hosts_per_zone": 1}, "InvalidZonalDeploymentConfiguration"),
        ({"minimum_healthy_hosts_per_zone": {"type": "FLEET_PERCENT", "value": 100}}, "InvalidMinimumHealthyHostValue"),
    ],
)
def test_wrong_zonal_configurations_are_refused(given: Any, code: str) -> None:
    config = {"minimum_healthy_hosts": {"type": "HOST_COUNT", "value": 1}, "zonal_config": given}
    with pytest.raises(InvalidDeploymentConfig) as caught:
        deployment_config(config)
    assert caught.value.code == code


def test_a_zone_that_would_have_nothing_to_deploy_to_is_refused() -> None:
    config = deployment_config(zonal(1, 2))
    with pytest.raises(HealthConstraintsInvalid, match="^zone b, "):
        zones_of(config, {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "b2": "b"}, ["a", "b"])


def test_serial_has_a_zone_after_the_other_and_the_smaller_of_both_limits() -> None:
    # The example of the guide, 200 instances of which 160 and 50 of each zone stay healthy.
    zones = [Zone("1", 100, 50, 0), Zone("2", 100, 50, 0)]
    counts = {"1": 100, "2": 100}
    assert serial_of_zones(zones, counts, 40, in_batches=True) == [40, 40, 20, 40, 40, 20]
    assert serial_of_zones(zones, counts, 40, in_batches=False) == [100, 100]
    assert serial_of_zones(zones, {"2": 3}, 40, in_batches=True) == [3]
    assert serial_of_zones(zones, {}, 40, in_batches=True) == [1]


@pytest.mark.parametrize("batches", [["a1 a2", "b1"], ["a1", "a2", "b1"], ["a1 x1 a2", "x1 b1"]])
def test_plays_that_come_to_one_zone_after_the_other(batches: list[str]) -> None:
    zone_of = {"a1": "a", "a2": "a", "b1": "b", "x1": "x"}
    assert order_of_zones(zone_of, ["a1", "a2", "b1"], [batch.split() for batch in batches]) == ["a", "b"]


@pytest.mark.parametrize("batches", [["a1 b1", "a2"], ["a1", "b1", "a2"], ["a1 a2 b1"]])
def test_plays_that_do_not_are_refused(batches: list[str]) -> None:
    with pytest.raises(InvalidInput, match="one zone after the other"):
        order_of_zones({"a1": "a", "a2": "a", "b1": "b"}, ["a1", "a2", "b1"], [batch.split() for batch in batches])


def test_one_zone_after_the_other(store: Store) -> None:
    fleet = "b1 a1 b2 a2 a3"
    deployment_id = create(store, fleet, zonal(0, 1))
    deployment = get_deployment(store, deployment_id)
    assert deployment.order == ["a1", "a2", "a3", "b1", "b2"]
    assert deployment.zone_instances == {"a": 3, "b": 2}
    assert [target.zone for target in get_targets(store, deployment_id)] == ["a", "a", "a", "b", "b"]
    assert answers(store, deployment_id, "a1 a2 a3 b1") == ["go", "go", "wait", "wait"]
    assert end(store, deployment_id, "a1 a2") == "InProgress"
    assert answers(store, deployment_id, "b1 a3 b1") == ["wait", "go", "wait"]
    assert end(store, deployment_id, "a3") == "InProgress"
    assert answers(store, deployment_id, "b1 b2") == ["go", "wait"]
    end(store, deployment_id, "b1")
    assert answers(store, deployment_id, "b2") == ["go"]
    assert end(store, deployment_id, "b2") == "Succeeded"


def test_the_limit_of_the_whole_group_counts_too(store: Store) -> None:
    deployment_id = create(store, "a1 a2 a3 b1 b2 b3", zonal(5, 1))
    assert answers(store, deployment_id, "a1 a2") == ["go", "wait"]
    # One of six may be out of service, and one is: the whole deployment ends.
    assert end(store, deployment_id, "a1", "Failed") == "Failed"


def test_a_zone_below_its_minimum_fails_all_zones(store: Store) -> None:
    deployment_id = create(store, "a1 a2 a3 b1 b2 b3", zonal(0, 2))
    assert answers(store, deployment_id, "a1") == ["go"]
    assert end(store, deployment_id, "a1", "Failed") == "Failed"
    deployment = get_deployment(store, deployment_id)
    assert (deployment.error_information or {})["code"] == "HEALTH_CONSTRAINTS"
    assert (deployment.error_information or {})["message"].startswith("Zone a: 1 of 3 instances failed")
    assert deployment.deployment_overview["Skipped"] == 5


def test_a_failure_that_a_zone_bears_lets_the_next_begin(store: Store) -> None:
    deployment_id = create(store, "a1 a2 b1", zonal(0, 0))
    assert answers(store, deployment_id, "a1 a2") == ["go", "go"]
    assert end(store, deployment_id, "a1 a2", "Failed") == "InProgress"
    assert answers(store, deployment_id, "b1") == ["go"]
    assert end(store, deployment_id, "b1") == "Succeeded"


def test_a_zone_bakes_and_nothing_starts_until_then(store: Store) -> None:
    deployment_id = create(store, "a1 b1 c1", zonal(0, 0, LONG, first_zone_monitor_duration_in_seconds=0))
    assert answers(store, deployment_id, "a1") == ["go"]
    assert end(store, deployment_id, "a1") == "InProgress"
    assert answers(store, deployment_id, "b1") == ["go"]
    assert end(store, deployment_id, "b1") == "Baking"
    assert get_deployment(store, deployment_id).status == "Baking"
    assert answers(store, deployment_id, "c1 c1") == ["wait", "wait"]
    with store.transaction() as tx:
        tx.execute("UPDATE deployments SET bake_until = %s WHERE deployment_id = %s", (tx.now, deployment_id))
    assert answers(store, deployment_id, "c1") == ["go"]
    assert get_deployment(store, deployment_id).status == "InProgress"
    # None bakes after the last.
    assert end(store, deployment_id, "c1") == "Succeeded"


def test_what_never_arrived_in_an_earlier_zone_of_a_checked_play_has_failed(store: Store) -> None:
    deployment_id = create(store, "a1 a2 b1", zonal(0, 0), options={"in_play_of_user": True})
    assert answers(store, deployment_id, "a1") == ["go"]
    assert answers(store, deployment_id, "b1") == ["wait"]
    end(store, deployment_id, "a1")
    assert answers(store, deployment_id, "b1") == ["go"]
    assert end(store, deployment_id, "b1") == "Succeeded"
    assert [target.status for target in get_targets(store, deployment_id)] == ["Succeeded", "Failed", "Succeeded"]


def test_what_never_arrived_may_end_the_deployment(store: Store) -> None:
    deployment_id = create(store, "a1 a2 b1 b2", zonal(0, 1), options={"in_play_of_user": True})
    assert answers(store, deployment_id, "b1") == ["stop"]
    assert get_deployment(store, deployment_id).status == "Failed"
    statuses = {target.target_id: target.status for target in get_targets(store, deployment_id)}
    assert statuses == {"a1": "Failed", "a2": "Skipped", "b1": "Skipped", "b2": "Skipped"}


def test_a_limited_deployment_counts_the_whole_zone(store: Store) -> None:
    first = create(store, "a1 a2 a3 b1", zonal(0, 0))
    answers(store, first, "a1 a2 a3")
    end(store, first, "a1 a2 a3")
    answers(store, first, "b1")
    assert end(store, first, "b1") == "Succeeded"
    deployment_id = create(store, "a1 a2 a3 b1", zonal(0, 0), limited_to=["a1", "a2"])
    assert answers(store, deployment_id, "a1 a2") == ["go", "go"]
    assert end(store, deployment_id, "a1 a2") == "Succeeded"
    with pytest.raises(HealthConstraintsInvalid, match="zone b"):
        create(store, "a1 a2 a3 b1", zonal(0, 2), limited_to=["a1"])


def test_conclude_ends_it_between_zones(store: Store) -> None:
    deployment_id = create(store, "a1 b1 b2", zonal(0, 0, LONG))
    assert answers(store, deployment_id, "a1") == ["go"]
    end(store, deployment_id, "a1")
    assert conclude(store, deployment_id).status == "Succeeded"
    assert get_deployment(store, deployment_id).deployment_overview["Failed"] == 2


@pytest.mark.parametrize("seed", range(60))
def test_random_deployments_keep_every_promise(store: Store, seed: int) -> None:
    draw = random.Random(seed)
    sizes = {zone: draw.randint(1, 4) for zone in "abc"[: draw.randint(1, 3)]}
    names = [f"{zone}{number}" for zone, size in sizes.items() for number in range(size)]
    of_zone, whole = draw.randint(0, min(sizes.values()) - 1), draw.randint(0, len(names) - 1)
    deployment_id = create(store, " ".join(names), zonal(whole, of_zone))
    state = dict.fromkeys(names, "P")
    status = "InProgress"
    for _step in range(200):
        if status != "InProgress":
            break
        name = draw.choice(names)
        if state[name] == "P":
            if ask_to_start(store, deployment_id, name).action == "go":
                # No zone before has anything to do, and both limits hold.
                assert all(state[other] in "SF" for other in names if other[0] < name[0])
                state[name] = "W"
                out = [other for other in names if state[other] in "WF"]
                assert len(out) <= len(names) - whole
                assert sum(other[0] == name[0] for other in out) <= sizes[name[0]] - of_zone
            status = get_deployment(store, deployment_id).status
            status = "InProgress" if status == "Created" else status
        elif state[name] == "W":
            state[name] = "F" if draw.random() < 0.2 else "S"
            status = finish_instance(store, deployment_id, name, "Failed" if state[name] == "F" else "Succeeded")
    failed = {zone: sum(state[name] == "F" for name in names if name[0] == zone) for zone in sizes}
    served = all(failed[zone] <= sizes[zone] - of_zone for zone in sizes) and sum(failed.values()) <= len(names) - whole
    done = all(letter in "SF" for letter in state.values())
    assert status == ("Succeeded" if done and served and "S" in state.values() else "Failed"), (seed, state)
