# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan finds the group as the deployment would find it, and leaves it as it was."""

from __future__ import annotations

from typing import Any

import pytest
from support.deployments import ELSEWHERE, GONE, GROUP_ID, deploy, request, revision

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._create_deployment import Fleet, Prepared
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import settle
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ask_to_start,
    create_deployment,
    finish_instance,
    get_deployment,
    get_group,
    get_targets,
    list_audit,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._foreseen_group import ForeseenGroup, foresee_group
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import deployment_config
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import current_owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._plan import (
    plan_of_preparation,
    unfinished_before,
    unfinished_elsewhere,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store


def foreseen(store: Store, number: int) -> ForeseenGroup:
    """Look at the group before revision ``number`` is deployed."""
    return foresee_group(store, GROUP_ID, revision(number), current_owner())


def planned(store: Store, instances: str, number: int) -> list[str]:
    """Return the order that a plan has for a deployment of revision ``number``."""
    settings = settle({"application_name": "HollowWeb"}, "production")
    of_none: Any = None
    prepared = Prepared(settings, Fleet(list(instances), None), of_none, deployment_config(settings.config), {}, [])
    order: list[str] = plan_of_preparation(prepared, foreseen(store, number))["order"]
    return order


@pytest.mark.parametrize("number", [1, 2])
def test_what_a_dead_controller_left_is_planned_as_it_will_be(store: Store, number: int) -> None:
    deploy(store, request("abcd"))
    killed = create_deployment(store, request("abcd", number=2, owner=GONE)).deployment_id
    for name in "abc":
        ask_to_start(store, killed, name)
    finish_instance(store, killed, "a", "Succeeded")
    finish_instance(store, killed, "b", "Failed")
    before = get_deployment(store, killed), get_targets(store, killed), get_group(store, GROUP_ID), list_audit(store)

    group = foreseen(store, number)
    unfinished = unfinished_before(store, GROUP_ID)
    order = planned(store, "abcde", number)
    after = get_deployment(store, killed), get_targets(store, killed), get_group(store, GROUP_ID), list_audit(store)
    assert after == before

    created = create_deployment(store, request("abcde", number=number))
    assert order == created.order == list("bcead")
    assert unfinished == unfinished_elsewhere(store, created) == {"c": killed}
    found = get_group(store, GROUP_ID)
    assert found is not None and group.group is not None
    assert {name: found.instances[name] for name in "abcd"} == group.group.instances


def test_a_deployment_that_lives_is_left_alone(store: Store) -> None:
    deploy(store, request("ab"))
    active = create_deployment(store, request("ab", number=2, owner=ELSEWHERE)).deployment_id
    ask_to_start(store, active, "a")
    assert foreseen(store, 2).group == get_group(store, GROUP_ID)
    assert unfinished_before(store, GROUP_ID) == {}


def test_a_group_that_is_new(store: Store) -> None:
    assert foreseen(store, 1) == ForeseenGroup(None)
    assert planned(store, "ba", 1) == ["b", "a"]
