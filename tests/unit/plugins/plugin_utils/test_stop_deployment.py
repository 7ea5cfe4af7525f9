# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments that somebody or an alarm stops, and whether they are to be rolled back then."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from support.deployments import ELSEWHERE, GONE, deploy, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._conclude_deployment import deployments_to_conclude
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rollback import rollback_due
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ask_to_start,
    create_deployment,
    current_owner,
    finish_instance,
    get_deployment,
    list_audit,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import DoesNotExist
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import HEARTBEAT_LIMIT
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_deployment import overview_lines
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import deployment_info
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._stop_deployment import (
    Reason,
    active_deployment_of,
    stop,
    stop_text,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

ON_REQUEST = ["DEPLOYMENT_STOP_ON_REQUEST"]
ON_ALARM = ["DEPLOYMENT_STOP_ON_ALARM"]


def rolls_back(events: list[str], **more: Any) -> dict[str, Any]:
    """Options of a deployment with an auto_rollback_configuration."""
    return {"auto_rollback_configuration": {"events": events, **more}}


@pytest.mark.parametrize(
    ("events", "rollback", "reason", "due"),
    [
        ([], None, "request", False),
        ([], True, "request", True),
        (ON_REQUEST, None, "request", True),
        (ON_REQUEST, False, "request", False),
        (ON_ALARM, None, "request", False),
        (ON_ALARM, None, "alarm", True),
        (ON_REQUEST, None, "alarm", False),
        (["DEPLOYMENT_FAILURE"], None, "alarm", False),
    ],
)
def test_what_is_rolled_back(store: Store, events: list[str], rollback: bool | None, reason: Reason, due: bool) -> None:
    deployment = create_deployment(store, request("ab", options=rolls_back(events)))
    ask_to_start(store, deployment.deployment_id, "a")
    stopped = stop(store, deployment.deployment_id, current_owner(), rollback, reason)
    assert (stopped.status, stopped.in_work, stopped.rollback_missed) == ("Pending", ["a"], False)
    assert not rollback_due(stopped.deployment)
    assert finish_instance(store, deployment.deployment_id, "a", "Succeeded") == "Stopped"
    ended = get_deployment(store, deployment.deployment_id)
    assert (ended.error_information or {})["code"] == {"request": "MANUAL_STOP", "alarm": "ALARM_ACTIVE"}[reason]
    assert rollback_due(ended) is due


def test_a_configuration_that_is_switched_off(store: Store) -> None:
    deployment = create_deployment(store, request("a", options=rolls_back(ON_REQUEST, enabled=False)))
    assert stop(store, deployment.deployment_id, current_owner()).status == "Succeeded"
    assert not rollback_due(get_deployment(store, deployment.deployment_id))


def test_the_first_reason_stays_and_a_rollback_may_be_asked_for_later(store: Store) -> None:
    deployment_id = create_deployment(store, request("ab")).deployment_id
    ask_to_start(store, deployment_id, "a")
    activated = "One or more alarms have been activated. Activated alarms: <errors>"
    stop(store, deployment_id, current_owner(), reason="alarm", message=activated)
    stop(store, deployment_id, current_owner(), rollback=True)
    stop(store, deployment_id, current_owner())
    finish_instance(store, deployment_id, "a", "Failed")
    ended = get_deployment(store, deployment_id)
    assert ended.error_information == {"code": "ALARM_ACTIVE", "message": activated}
    assert rollback_due(ended)
    asked = [entry for entry in list_audit(store) if entry.event_name == "StopDeployment"]
    assert [entry.parameters["auto_rollback_enabled"] for entry in reversed(asked)] == [None, True, None]


def test_who_would_roll_back_has_ended(store: Store) -> None:
    deployment = create_deployment(store, request("a", owner=GONE))
    stopped = stop(store, deployment.deployment_id, current_owner(), rollback=True)
    assert (stopped.deployment.status, stopped.rollback_missed) == ("Stopped", True)
    assert "To roll it back: ansible-playbook agentless.codedeploy.rollback" in stop_text(stopped)


def test_a_rollback_is_not_rolled_back(store: Store) -> None:
    failed = deploy(store, request("a"), failing="a")
    again = request("a", creator="codeDeployRollback", rollback_of=failed.deployment_id)
    deployment_id = create_deployment(store, again).deployment_id
    stop(store, deployment_id, current_owner(), rollback=True)
    assert not rollback_due(get_deployment(store, deployment_id))


def test_a_group_s_deployment_is_found_among_those_of_many_others(store: Store) -> None:
    wanted = create_deployment(store, request("a", options={"deployment_group": "web"})).deployment_id
    for number in range(101):
        other = request("a", deployment_group_id=f"other-{number}")
        create_deployment(store, replace(other, deployment_group_name=f"other-{number}"))
    assert active_deployment_of(store, "production", None) == active_deployment_of(store, "web", "HollowWeb") == wanted
    (found,) = deployments_to_conclude(store, current_owner(), group="production")
    assert found.deployment_id == wanted
    with pytest.raises(DoesNotExist, match="'we' has no active deployment"):
        active_deployment_of(store, "we", None)


def test_a_controller_elsewhere_is_judged_by_the_clock_of_the_record(store: Store) -> None:
    # As on a database server whose clock is far behind this controller's, or this one's far ahead.
    store.clock = lambda: time.time() - 3 * HEARTBEAT_LIMIT
    deployment = create_deployment(store, request("ab", owner=ELSEWHERE))
    ask_to_start(store, deployment.deployment_id, "a")
    stopped = stop(store, deployment.deployment_id, current_owner())
    assert (stopped.status, stopped.in_work, stopped.deployment.active) == ("Pending", ["a"], True)
    assert "left by its controller" not in "\n".join(overview_lines([stopped.deployment], ""))
    assert "Left by" not in str(deployment_info(stopped.deployment))
