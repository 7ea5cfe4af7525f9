# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that wait for a deployment group that another run holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.applications import Application, installed_version
from support.controller import Controller
from support.local_fleet import LocalFleet
from support.record import deployments
from support.waiting import wait_until

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import group_id_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import list_audit, waiting_controllers
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

DEPLOY = "agentless.codedeploy.deploy"
Fleets = Callable[..., LocalFleet]


def test_a_run_waits_its_turn_and_for_the_rollback(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    inventory, release = fleet.inventory(), tmp_path / "release"
    one = Application(tmp_path / "one", "1")
    first = controller.playbook(DEPLOY, inventory, deploy_group="web", deploy_revision=one.folder)
    assert first.rc == 0, str(first)
    hold = f"while [ ! -e {release} ]; do sleep 0.1; done; exit 1"
    two = Application(tmp_path / "two", "2", AfterInstall=hold)
    rolled_back = {
        "deploy_revision": two.folder,
        "deploy_auto_rollback_configuration": {"events": ["DEPLOYMENT_FAILURE"]},
    }
    arguments = controller.playbook_arguments(DEPLOY, inventory, deploy_group="web", **rolled_back)
    holder = controller.start("ansible-playbook", *arguments)
    store = open_store(str(controller.store))
    wait_until(lambda: deployments(controller)[0]["status"] == "InProgress", "the group is held", holder)
    active = deployments(controller)[0]["deploymentId"]
    three = Application(tmp_path / "three", "3")
    waits = {"deploy_group": "web", "deploy_revision": three.folder, "deploy_wait_for_group": 900}
    waiter = controller.start("ansible-playbook", *controller.playbook_arguments(DEPLOY, inventory, **waits))
    wait_until(lambda: waiting_controllers(store, group_id_of("web", "web")), "the second run waits", waiter)
    impatient = controller.playbook(DEPLOY, inventory, **{**waits, "deploy_wait_for_group": 1})
    assert impatient.rc == 2, str(impatient)
    refused = [entry for entry in list_audit(store) if entry.result.get("error_code")]
    assert [(entry.event_name, entry.result["error_code"]) for entry in refused] == [
        ("CreateDeployment", "DeploymentLimitExceeded")
    ]
    assert refused[0].parameters["application_name"] == "web"
    store.close()
    release.touch()
    assert holder.communicate() is not None
    output = " ".join(waiter.communicate()[0].split())
    assert (holder.returncode, waiter.returncode) == (2, 0), output
    assert f"Waiting for the deployment group web: {active} is active, run by" in output
    found = [(one["creator"], one["status"]) for one in reversed(deployments(controller))]
    assert found == [
        ("user", "Succeeded"),
        ("user", "Failed"),
        ("codeDeployRollback", "Succeeded"),
        ("user", "Succeeded"),
    ]
    assert installed_version(fleet.files("web1")) == "3"
