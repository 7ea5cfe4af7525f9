# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan playbook tells what a deployment would do, touches nothing, and goes on past problems."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from support.applications import Application
from support.controller import Controller
from support.deployments import ELSEWHERE, request
from support.local_fleet import LocalFleet

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import group_id_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    create_deployment,
    get_targets,
    list_audit,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

PLAN = "agentless.codedeploy.plan"


def test_a_plan_tells_everything_and_touches_nothing(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    fleet = local_fleet(3)
    application = Application(tmp_path / "application", "1", AfterInstall="true").folder
    in_the_way = fleet.files("web2") / "srv" / "application" / "version.txt"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("mine")
    variables = {"deploy_group": "web", "deploy_revision": application, "plan_path": tmp_path / "plan.json"}
    planned = controller.playbook(PLAN, fleet.inventory(), plan_format="json", deploy_rollout="batches", **variables)
    assert planned.rc == 2, str(planned)
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert [one["targetId"] for one in plan["instances"]] == ["web1", "web2", "web3"]
    assert (plan["window"], plan["batches"]) == (1, [["web1"], ["web2"], ["web3"]])
    assert plan["estimatedSeconds"] is None
    fine, conflict = plan["plans"]
    assert fine["instances"] == ["web1", "web3"]
    assert fine["plan"]["hooks"][0]["location"] == "scripts/AfterInstall.sh"
    assert conflict["plan"]["problems"]
    (problem,) = plan["problems"]
    assert "HEALTH_CONSTRAINTS" in problem
    assert "web2" in problem
    assert not plan["possible"]

    # What may fail does so in the middle, and is forgiven at the end.
    text = controller.playbook(
        PLAN, fleet.inventory(), deploy_config="AllAtOnce", **{**variables, "plan_path": tmp_path / "plan.txt"}
    )
    assert text.rc == 0, str(text)
    shown = (tmp_path / "plan.txt").read_text()
    assert "It can succeed." in shown
    assert "web1, web3: 1 added" in shown
    assert not any(fleet.deployment_root(name).exists() for name in fleet.names)
    store = open_store(str(controller.store))
    assert list_deployments(store) == []
    assert {entry.event_name for entry in list_audit(store)} == {"GetDeploymentGroup"}


def test_a_busy_group_and_an_impossible_configuration_are_told_with_all_else(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    fleet = local_fleet(2)
    application = Application(tmp_path / "application", "1").folder
    store = open_store(str(controller.store))
    group_id = group_id_of("web", "web")
    create_deployment(store, request(fleet.names, deployment_group_id=group_id, owner=ELSEWHERE))
    with store.transaction() as tx:
        tx.execute("UPDATE applications SET application_name = %s", ("web",))
    planned = controller.playbook(
        PLAN,
        fleet.inventory(),
        deploy_group="web",
        deploy_revision=application,
        deploy_config="type=HOST_COUNT,value=2",
    )
    assert planned.rc == 2, str(planned)
    for text in (
        "HEALTH_CONSTRAINTS_INVALID",
        "already has an active deployment",
        "web1, web2: 1 added",
        "It cannot succeed.",
    ):
        assert text in planned.stdout, (text, str(planned))


def test_the_plan_of_a_resume_is_what_the_resume_does(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    fleet = local_fleet(4)
    repaired = tmp_path / "repaired"
    hook = f'[ -e {repaired} ] || case "$0" in */web2/*) exit 1;; esac'
    application = Application(tmp_path / "application", "1", AfterInstall=hook).folder
    of_group = {"deploy_group": "web", "deploy_config": "type=HOST_COUNT,value=3"}
    failed = controller.playbook(
        "agentless.codedeploy.deploy",
        fleet.inventory(),
        "--limit",
        "web1,web2,web3",
        deploy_revision=application,
        **of_group,
    )
    assert failed.rc == 2, str(failed)
    repaired.touch()
    store = open_store(str(controller.store))
    (former,) = list_deployments(store)
    with store.transaction() as tx:
        # As if its controller had been killed: only the instance itself knows that it had succeeded.
        tx.execute("UPDATE targets SET status = 'Unknown' WHERE instance = 'web1'")
        tx.execute("UPDATE deployments SET limited = FALSE")
    resume = {"deploy_group": "web", "deploy_resume": True}
    planned = controller.playbook(
        PLAN, fleet.inventory(), plan_format="json", plan_path=tmp_path / "plan.json", **resume
    )
    assert planned.rc == 0, str(planned)
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["resumedDeployment"]["deploymentId"] == former.deployment_id
    why = {one["targetId"]: one["reason"] for one in plan["instances"]}
    assert why == {
        "web1": f"lost from sight in {former.deployment_id}",
        "web2": f"failed in {former.deployment_id}",
        "web3": f"not reached by {former.deployment_id}",
        "web4": "runs another revision or is not healthy",
    }
    does = {name: one["plan"] for one in plan["plans"] for name in one["instances"]}
    assert does["web1"]["warnings"] == [
        f"{former.deployment_id} had succeeded here, by the instance's own event log: nothing would be run again"
    ]
    assert [hook["lifecycleEventName"] for hook in does["web2"]["hooks"]] == ["AfterInstall"]
    assert len(list_deployments(store)) == 1

    resumed = controller.playbook("agentless.codedeploy.deploy", fleet.inventory(), **resume)
    assert resumed.rc == 0, str(resumed)
    newest = list_deployments(store, limit=1)[0]
    assert newest.order == list(why)
    events = {
        target.target_id: {event["status"] for event in target.lifecycle_events}
        for target in get_targets(store, newest.deployment_id)
    }
    assert events == {name: {"Skipped" if name == "web1" else "Succeeded"} for name in why}
    nothing = controller.playbook(PLAN, fleet.inventory(), **resume)
    assert nothing.rc == 2, str(nothing)
    assert f"there is nothing to resume: everything runs the revision of {newest.deployment_id}" in nothing.stdout
