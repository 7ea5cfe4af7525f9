# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance on which another deployment still runs."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance import (
    MOST_WAITS,
    Instance,
    InstanceBusy,
    StoppedWhileWaiting,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_steps import InstanceSteps, Observer

PARAMETERS = {"deployment_group_id": "g", "deployment_id": "d-2", "bundle": {"digest": "old"}}


class Refusing(Instance):
    """An instance whose module refuses to start the events so many times."""

    def __init__(self, refusals: int) -> None:
        super().__init__(cast(ActionBase, None), {}, "/nowhere")
        self.refusals = refusals
        self.given: list[dict[str, Any]] = []

    def start_events(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Take the place of the module's call."""
        self.given.append(parameters)
        if len(self.given) <= self.refusals:
            raise InstanceBusy("deployment d-1 is in progress", "d-1")
        return {"status": "Succeeded", "events": []}


class Silent:
    """Sees and wants nothing."""

    def began(self, event: Any) -> None:
        """See Observer."""

    ended = passed = began

    def stop_requested(self) -> bool:
        """See Observer."""
        return False

    stop_requested_apart = stop_requested


def run(instance: Instance) -> dict[str, Any]:
    return instance.run_events(dict(PARAMETERS), lambda _event: None)


def test_the_events_are_started_again_with_what_the_wait_returns() -> None:
    instance = Refusing(2)
    waited: list[str] = []

    def wait(busy: InstanceBusy, parameters: dict[str, Any]) -> dict[str, Any]:
        waited.append(busy.deployment_id)
        return {**parameters, "bundle": {"digest": f"new {len(waited)}"}}

    instance.when_busy = wait
    assert run(instance)["status"] == "Succeeded"
    assert waited == ["d-1", "d-1"]
    assert [parameters["bundle"]["digest"] for parameters in instance.given] == ["old", "new 1", "new 2"]


def test_what_only_the_module_sees_is_not_waited_for_without_end() -> None:
    instance = Refusing(1000)
    instance.when_busy = lambda _busy, parameters: parameters
    with pytest.raises(InstanceBusy, match="deployment d-1 is in progress"):
        run(instance)
    assert len(instance.given) == MOST_WAITS + 1


def test_without_anybody_who_waits_it_is_refused_at_once() -> None:
    instance = Refusing(1)
    with pytest.raises(InstanceBusy):
        run(instance)
    assert len(instance.given) == 1


def test_a_stop_during_the_wait_leaves_an_instance_that_is_only_without_traffic() -> None:
    instance = Refusing(1)

    def stop(_busy: InstanceBusy, _parameters: dict[str, Any]) -> dict[str, Any]:
        raise StoppedWhileWaiting("stopped")

    instance.when_busy = stop
    steps = InstanceSteps(instance, cast(Observer, Silent()))
    with pytest.raises(StoppedWhileWaiting):
        steps.run({**PARAMETERS, "events": ["BlockTraffic", "ApplicationStop", "AllowTraffic"]})
    assert [event["lifecycle_event_name"] for event in steps.events] == ["BlockTraffic"]
    assert steps.only_out_of_service
