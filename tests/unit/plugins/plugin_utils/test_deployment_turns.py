# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places go to instances in the deployment's order, whoever asks first."""

from __future__ import annotations

from typing import Any

import pytest
from support.deployments import deploy, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_turns import ASKING_SECONDS, Coming
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ask_to_start,
    create_deployment,
    finish_instance,
    get_deployment,
    get_targets,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

PLAYBOOK = {"in_play_of_user": False}
PLAY_OF_USER = {"in_play_of_user": True}


class Asker:
    """Asks for the instances of one deployment, at a time that the test says."""

    def __init__(self, store: Store, instances: str, minimum: int, **more: Any) -> None:
        self.now = 1e9
        store.clock = lambda: self.now
        self.store = store
        wanted = request(instances, f"type=HOST_COUNT,value={minimum}", **more)
        self.deployment_id = create_deployment(store, wanted).deployment_id

    def ask(self, instance: str) -> str:
        """Return the record's answer."""
        return ask_to_start(self.store, self.deployment_id, instance).action

    def finish(self, instance: str, status: Any = "Succeeded") -> None:
        """Record how an instance ended."""
        finish_instance(self.store, self.deployment_id, instance, status)


@pytest.mark.parametrize("options", [{}, PLAYBOOK, PLAY_OF_USER])
def test_a_free_place_goes_to_the_first_that_waits(store: Store, options: dict[str, Any]) -> None:
    group = Asker(store, "abcde", 3, options=options)
    assert [group.ask("a"), group.ask("b")] == ["go", "go"]
    group.finish("a", "Failed")
    assert [group.ask("c"), group.ask("d")] == ["wait", "wait"]
    group.finish("b")
    assert group.ask("d") == "wait"
    assert group.ask("c") == "go"
    group.finish("c")
    assert group.ask("e") == "wait"
    assert group.ask("d") == "go"


def test_who_asks_first_is_not_kept_from_a_place_that_is_left(store: Store) -> None:
    group = Asker(store, "abcd", 2, options=PLAYBOOK)
    assert group.ask("b") == "go"
    assert group.ask("d") == "wait"
    assert group.ask("a") == "go"


def test_the_playbook_waits_for_one_that_is_about_to_ask(store: Store) -> None:
    """Its tasks begin in the deployment's order, so that one which was begun before is only slower."""
    group = Asker(store, "abc", 2, options=PLAYBOOK)
    assert group.ask("b") == "wait"
    group.now += ASKING_SECONDS - 1
    assert group.ask("b") == "wait"
    assert group.ask("a") == "go"


def test_an_instance_that_never_asks_is_waited_for_once(store: Store) -> None:
    group = Asker(store, "abcd", 3, options=PLAYBOOK)
    assert group.ask("c") == "wait"
    group.now += ASKING_SECONDS
    assert group.ask("c") == "go"
    group.finish("c")
    assert group.ask("d") == "go"
    group.finish("d")
    assert [group.ask("b"), [target.status for target in get_targets(store, group.deployment_id)]] == [
        "go",
        ["Pending", "InProgress", "Succeeded", "Succeeded"],
    ]


def test_in_a_play_of_somebodys_own_the_order_may_be_another_one(store: Store) -> None:
    group = Asker(store, "abc", 2, options=PLAY_OF_USER)
    assert group.ask("c") == "go"
    group.finish("c")
    assert group.ask("a") == "go"


def test_one_that_has_stopped_asking_keeps_nobody_waiting(store: Store) -> None:
    group = Asker(store, "abc", 2)
    assert group.ask("a") == "go"
    assert group.ask("b") == "wait"
    group.now += ASKING_SECONDS - 1
    assert group.ask("b") == "wait"
    group.finish("a")
    group.now += ASKING_SECONDS - 1
    assert group.ask("c") == "wait"
    group.now += 2
    assert group.ask("c") == "go"


def test_each_zone_has_an_order_of_its_own(store: Store) -> None:
    zone_of = {"a": "1", "b": "1", "c": "2", "d": "2"}
    config = {
        "deployment_config_name": "ZoneByZone",
        "minimum_healthy_hosts": {"type": "HOST_COUNT", "value": 0},
        "zonal_config": {"minimum_healthy_hosts_per_zone": {"type": "HOST_COUNT", "value": 1}},
    }
    wanted = request("abcd", config, zone_of=zone_of, zone_order=["1", "2"], options=PLAYBOOK)
    deployment_id = create_deployment(store, wanted).deployment_id

    def ask(instance: str) -> str:
        return ask_to_start(store, deployment_id, instance).action

    assert [ask("d"), ask("b"), ask("a"), ask("b")] == ["wait", "wait", "go", "wait"]
    finish_instance(store, deployment_id, "a", "Succeeded")
    assert ask("b") == "go"
    finish_instance(store, deployment_id, "b", "Succeeded")
    assert [ask("d"), ask("c"), ask("d")] == ["wait", "go", "wait"]


def mended_first(store: Store, in_batch: str, at_once: int, asks: str) -> tuple[str, str | None]:
    """Ask for healthy instances of a group of which a and b have failed, none of which may be taken out before."""
    deploy(store, request("abcd"), failing="ab")
    config = {"type": "HOST_COUNT", "value": 2}
    deployment_id = create_deployment(store, request("abcd", config, 2, options=PLAY_OF_USER)).deployment_id
    coming = Coming(frozenset(in_batch), at_once)
    answers = [ask_to_start(store, deployment_id, instance, coming) for instance in asks]
    deployment = get_deployment(store, deployment_id)
    assert (deployment.status == "Failed") == (answers[-1].action == "stop")
    return answers[-1].action, (deployment.error_information or {}).get("message")


@pytest.mark.parametrize(
    ("in_batch", "at_once", "asks"),
    [("cd", 2, "c"), ("abcd", 1, "c"), ("abcd", 2, "cd"), ("abcd", 2, "ccd")],
    ids=["later batch", "no fork left", "none of several left", "asked again"],
)
def test_who_waits_for_unhealthy_ones_that_cannot_come_is_refused_at_once(
    store: Store, in_batch: str, at_once: int, asks: str
) -> None:
    action, message = mended_first(store, in_batch, at_once, asks)
    assert action == "stop"
    assert message is not None
    assert "2 of 4 instances are healthy" in message
    assert "The unhealthy ones of this deployment, 2, come after them in this play" in message


@pytest.mark.parametrize(("in_batch", "at_once", "asks"), [("abcd", 2, "c"), ("abcd", 2, "cc"), ("bcd", 3, "cd")])
def test_who_waits_for_unhealthy_ones_that_may_come_goes_on_waiting(
    store: Store, in_batch: str, at_once: int, asks: str
) -> None:
    assert mended_first(store, in_batch, at_once, asks) == ("wait", None)


def test_healthy_ones_wait_while_an_unhealthy_one_is_in_work(store: Store) -> None:
    deploy(store, request("abcd"), failing="ab")
    config = {"type": "HOST_COUNT", "value": 2}
    deployment_id = create_deployment(store, request("abcd", config, 2, options=PLAY_OF_USER)).deployment_id
    coming = Coming(frozenset("bcd"), 2)
    assert ask_to_start(store, deployment_id, "b", coming).action == "go"
    coming = Coming(frozenset("cd"), 2)
    assert ask_to_start(store, deployment_id, "c", coming).action == "wait"
    finish_instance(store, deployment_id, "b", "Succeeded")
    assert ask_to_start(store, deployment_id, "c", coming).action == "go"


def test_a_zone_does_not_wait_for_unhealthy_ones_of_the_next(store: Store) -> None:
    deploy(store, request("abcd"), failing="cd")
    zone_of = {"a": "1", "b": "1", "c": "2", "d": "2"}
    config = {
        "deployment_config_name": "ZoneByZone",
        "minimum_healthy_hosts": {"type": "HOST_COUNT", "value": 2},
        "zonal_config": {"minimum_healthy_hosts_per_zone": {"type": "HOST_COUNT", "value": 0}},
    }
    wanted = request("abcd", config, 2, zone_of=zone_of, zone_order=["1", "2"], options=PLAYBOOK)
    deployment_id = create_deployment(store, wanted).deployment_id
    assert ask_to_start(store, deployment_id, "a").action == "stop"
    deployment = get_deployment(store, deployment_id)
    assert (deployment.status, (deployment.error_information or {})["code"]) == ("Failed", "HEALTH_CONSTRAINTS")
