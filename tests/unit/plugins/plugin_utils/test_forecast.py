# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a deployment would take and how it would end, against the rules and the record."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deployments import GROUP_ID, deploy, make_group, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._forecast import (
    ZoneOutlook,
    batches_of,
    duration,
    expected_seconds,
    makespan,
    outcome,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import InstanceHealth, deployment_order
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._history import former_seconds
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store


def test_an_instance_takes_what_it_took_and_a_new_one_what_the_others_did() -> None:
    former = {"a": [10.0, 12.0, 50.0], "b": [2.0], "gone": [4.0]}
    assert expected_seconds(["a", "b", "c"], former) == {"a": 12.0, "b": 2.0, "c": 4.0}
    assert expected_seconds(["a"], {}) is None
    assert expected_seconds([], {"a": []}) is None


def test_a_window_is_refilled_and_a_batch_waits_for_its_slowest() -> None:
    seconds = {"a": 10.0, "b": 1.0, "c": 1.0, "d": 10.0}
    assert makespan("abcd", seconds, 2, "window") == 12.0
    assert makespan("abcd", seconds, 2, "batches") == 20.0
    assert makespan("abcd", seconds, 1, "window") == makespan("abcd", seconds, 1, "batches") == 22.0
    assert makespan("abcd", seconds, 9, "window") == makespan("abcd", seconds, 9, "batches") == 10.0
    assert makespan("", {}, 1, "window") == makespan("", {}, 1, "batches") == 0.0
    assert batches_of("abcde", 2) == [["a", "b"], ["c", "d"], ["e"]]


@given(st.lists(st.floats(0, 100), max_size=12), st.integers(1, 6))
def test_a_window_never_takes_longer_than_batches(seconds: list[float], window: int) -> None:
    taken = {str(number): value for number, value in enumerate(seconds)}
    refilled = makespan(list(taken), taken, window, "window")
    assert refilled <= makespan(list(taken), taken, window, "batches") + 1e-9
    assert refilled >= sum(seconds) / window - 1e-9
    assert refilled >= max(seconds, default=0.0)


@pytest.mark.parametrize("config", [{"type": "HOST_COUNT", "value": 1}, "OneAtATime"], ids=str)
def test_the_end_is_that_of_the_record(store: Store, config: object) -> None:
    fleet = "abc"
    deploy(store, request(fleet))
    for failing in itertools.chain.from_iterable(itertools.combinations(fleet, size) for size in range(3)):
        group_id = f"group {''.join(failing)}"
        deploy(store, request(fleet, deployment_group_id=group_id))
        ended = deploy(store, request(fleet, config, 2, deployment_group_id=group_id), "".join(failing))
        order = [InstanceHealth(name, True, "Current") for name in fleet]
        verdict, reached = outcome(order, failing, 3, ended.total, ended.minimum_healthy_hosts)
        assert verdict.status == ended.status
        counts = ended.deployment_overview
        assert len(reached) == counts["Succeeded"] + counts["Failed"]


def test_zones_take_their_time_one_after_the_other_and_bake_between() -> None:
    seconds = {"a1": 10.0, "a2": 4.0, "a3": 4.0, "b1": 7.0, "b2": 1.0}
    zones = [(["a1", "a2", "a3"], 2, 60), (["b1", "b2"], 1, 3600)]
    assert duration(zones, seconds, "window") == 10 + 60 + 8
    assert duration(zones, seconds, "batches") == 14 + 60 + 8
    assert duration([], {}, "window") == 0
    assert duration([(["a1", "b1"], 1, 0)], seconds, "window") == 17


ZONES = {"a": "a1 a2 a3", "b": "b1 b2"}
ZONE_OF = {name: zone for zone, names in ZONES.items() for name in names.split()}


@pytest.mark.parametrize(("whole", "of_zone"), [(0, 0), (0, 1), (4, 1)])
@pytest.mark.parametrize("unhealthy", ["", "b1 b2", "a3 b1"])
def test_the_end_with_zones_is_that_of_the_record(store: Store, whole: int, of_zone: int, unhealthy: str) -> None:
    config = {
        "minimum_healthy_hosts": {"type": "HOST_COUNT", "value": whole},
        "zonal_config": {"minimum_healthy_hosts_per_zone": {"type": "HOST_COUNT", "value": of_zone}},
    }
    names = list(ZONE_OF)
    health = {name: name not in unhealthy.split() for name in names}
    more = {"zone_of": ZONE_OF, "zone_order": ["a", "b"]}
    for failing in ((), ("a2",), ("a1", "a2", "a3")):
        group_id = f"group {failing}"
        make_group(store, group_id, health)
        ended = deploy(store, request(names, config, 2, deployment_group_id=group_id, **more), list(failing))
        counted = [
            ZoneOutlook(zone, len(of.split()), of_zone, sum(health[name] for name in of.split()))
            for zone, of in ZONES.items()
        ]
        order = [InstanceHealth(name, health[name], "Old") for name in ended.order]
        verdict, reached = outcome(order, failing, sum(health.values()), 5, whole, counted, ZONE_OF)
        assert verdict.status == ended.status, (failing, verdict, ended)
        counts = ended.deployment_overview
        assert len(reached) == counts["Succeeded"] + counts["Failed"]


def test_too_few_healthy_instances_are_known_before() -> None:
    healthy, failed = InstanceHealth("a", True, "Current"), InstanceHealth("b", False, "Old")
    assert outcome([healthy], (), 1, 2, 1)[0].code == "HEALTH_CONSTRAINTS"
    order = [InstanceHealth(name, name == "a", "Old") for name in deployment_order([healthy, failed])]
    assert outcome(order, (), 1, 2, 1)[0].status == "Succeeded"
    assert outcome([], (), 0, 2, 1)[0].status == "Succeeded"


def test_what_instances_took_is_read_from_successes(store: Store) -> None:
    times = itertools.count(1000)
    store.clock = lambda: float(next(times))
    deploy(store, request("ab"))
    deploy(store, request("ab", number=2), failing="a")
    former = former_seconds(store, GROUP_ID)
    assert {name: len(seconds) for name, seconds in former.items()} == {"a": 1, "b": 2}
    assert all(second > 0 for seconds in former.values() for second in seconds)
    assert former_seconds(store, "another") == {}
