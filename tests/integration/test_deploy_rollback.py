# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments that are rolled back in the run in which they failed or were stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from support.applications import Application, installed_version
from support.controller import Controller, Result
from support.local_fleet import LocalFleet
from support.record import deployments, status, statuses
from support.waiting import wait_until

DEPLOY = "agentless.codedeploy.deploy"
ON_FAILURE = {"enabled": True, "events": ["DEPLOYMENT_FAILURE"]}
FAILS_ON_WEB2 = 'case "$0" in *web2*) exit 1;; esac'
Fleets = Callable[..., LocalFleet]


def deploy(controller: Controller, fleet: LocalFleet, folder: Path, *arguments: str, **variables: object) -> Result:
    """Run the deploy playbook; rolls back on failure unless told otherwise."""
    given = {"deploy_group": "web", "deploy_revision": folder, "deploy_auto_rollback_configuration": ON_FAILURE}
    return controller.playbook(DEPLOY, fleet.inventory(), *arguments, **{**given, **variables})


def versions(fleet: LocalFleet) -> list[str | None]:
    """Return what each instance has installed."""
    return [installed_version(fleet.files(name)) for name in fleet.names]


def rollback_info(controller: Controller, deployment_id: str) -> dict[str, str]:
    """Return a deployment's rollbackInfo."""
    return dict(status(controller, deployment_id=deployment_id)["deploymentInfo"]["rollbackInfo"] or {})


def test_rollback_of_what_was_attempted(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(4)
    one = Application(tmp_path / "one", "1")
    first = deploy(controller, fleet, one.folder, deploy_file_exists_behavior="OVERWRITE")
    assert first.rc == 0, str(first)
    two = Application(tmp_path / "two", "2", ApplicationStart=FAILS_ON_WEB2)
    result = deploy(controller, fleet, two.folder)
    assert result.rc == 2, str(result)
    assert "Traceback" not in result.stdout + result.stderr
    rollback, failed, _first = deployments(controller)
    identifier, failed_id = rollback["deploymentId"], failed["deploymentId"]
    assert (failed["status"], rollback["status"]) == ("Failed", "Succeeded"), str(result)
    skipped = status(controller, deployment_id=failed_id, status_target_statuses="Skipped")["deploymentTargets"]
    assert [target["instanceTarget"]["targetId"] for target in skipped] == ["web3", "web4"]
    assert statuses(controller, identifier) == {"web2": "Succeeded", "web1": "Succeeded"}
    assert versions(fleet) == ["1"] * 4
    assert rollback["creator"] == "codeDeployRollback"
    assert rollback["fileExistsBehavior"] == "OVERWRITE"
    assert rollback_info(controller, failed_id) == {
        "rollbackDeploymentId": identifier,
        "rollbackMessage": f"Deployment {failed_id} terminated. Automatic rollback is triggered with a DeploymentId "
        f"{identifier}.",
    }
    assert rollback_info(controller, identifier) == {
        "rollbackTriggeringDeploymentId": failed_id,
        "rollbackMessage": f"Deployment {identifier} is triggered to roll back deployment {failed_id}.",
    }
    # The verdict's task fails with what its message is about.
    text = next(line for line in result.stdout.splitlines() if f'"msg": "Deployment {failed_id}' in line)
    verdict = json.loads(text.partition("=> ")[2])
    assert verdict["msg"].startswith(f"Deployment {failed_id} Failed: HEALTH_CONSTRAINTS")
    assert (verdict["deployment_id"], verdict["status"]) == (failed_id, "Failed")
    assert verdict["rollback_info"]["rollback_deployment_id"] == identifier
    # Nothing is rolled back when nothing failed, or when it is switched off for a deployment.
    assert deploy(controller, fleet, Application(tmp_path / "three", "3").folder).rc == 0
    assert deploy(controller, fleet, two.folder, deploy_auto_rollback_configuration={"enabled": False}).rc == 2
    assert len(deployments(controller)) == 5


def test_rollback_of_a_group_that_is_set_to(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1, codedeploy_deployment_groups={"web": {"auto_rollback_configuration": ON_FAILURE}})
    variables = {"deploy_group": "web", "deploy_revision": tmp_path / "application"}
    fails = Application(tmp_path / "application", "1", AfterInstall="exit 1")
    result = controller.playbook(DEPLOY, fleet.inventory(), **variables)
    assert result.rc == 2
    (failed,) = deployments(controller)
    message = f"Deployment {failed['deploymentId']} cannot be rolled back: the group has no successful deployment"
    assert message in " ".join(result.stdout.split())
    assert rollback_info(controller, failed["deploymentId"])["rollbackMessage"].startswith(message)
    Application(fails.folder, "2", AfterInstall="true")
    assert controller.playbook(DEPLOY, fleet.inventory(), **variables).rc == 0
    # The bundle that would be needed is neither in the cache nor where it was.
    shutil.rmtree(controller.home / ".cache")
    Application(fails.folder, "3", AfterInstall="exit 1")
    result = controller.playbook(DEPLOY, fleet.inventory(), **variables)
    assert result.rc == 2
    output = " ".join(result.stdout.split())
    assert "cannot be rolled back: revision last_successful: the bundle of" in output
    assert "is neither in this controller's cache nor, unchanged, where it was" in output
    # That is true of the rollback and reads as if it were said of the deployment.
    assert "no instance was touched" not in output
    assert len(deployments(controller)) == 3
    wrong = deploy(controller, fleet, fails.folder, deploy_auto_rollback_configuration={"events": ["FAILURE"]})
    assert "deploy_auto_rollback_configuration: FAILURE: the events are" in " ".join(wrong.stdout.split())


def test_rollback_of_what_was_stopped(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    assert deploy(controller, fleet, Application(tmp_path / "one", "1").folder).rc == 0
    started, release = tmp_path / "started", tmp_path / "release"
    hold = f"touch {started}; while [ ! -e {release} ]; do sleep 0.1; done"
    two = Application(tmp_path / "two", "2", AfterInstall=hold)
    arguments = controller.playbook_arguments(
        DEPLOY,
        fleet.inventory(),
        deploy_group="web",
        deploy_revision=two.folder,
        deploy_poll_after=120,
    )
    running = controller.start("ansible-playbook", *arguments)
    try:
        wait_until(started.exists, "AfterInstall has begun", running)
        # Another controller with the same record, and with no group of this name in its inventory.
        arguments = ["agentless.codedeploy.stop", "-e", "deploy_group=web", "-e", "stop_rollback=true"]
        stop = controller.run("ansible-playbook", *arguments, HOME=str(tmp_path / "elsewhere"))
        assert stop.rc == 0, str(stop)
        logs = fleet.deployment_root("web1").glob(f"*/{deployments(controller)[0]['deploymentId']}/events.jsonl")
        marker = next(logs).parent / "stop"
        wait_until(marker.exists, "the instance is told", running)
    finally:
        release.touch()
        output = running.communicate()[0]
    assert running.returncode == 2, output
    rollback, stopped, _first = deployments(controller)
    assert (stopped["status"], rollback["status"]) == ("Stopped", "Succeeded"), output
    assert statuses(controller, rollback["deploymentId"]) == {"web1": "Succeeded"}
    assert versions(fleet) == ["1", "1"]


def test_a_rollback_that_fails_is_not_rolled_back(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    once = tmp_path / "once"
    one = Application(tmp_path / "one", "1", BeforeInstall=f"[ ! -e {once} ] && touch {once}")
    assert deploy(controller, fleet, one.folder).rc == 0
    result = deploy(controller, fleet, Application(tmp_path / "two", "2", AfterInstall="exit 1").folder)
    assert result.rc == 2, str(result)
    found = [(one["creator"], one["status"]) for one in deployments(controller)]
    assert found == [("codeDeployRollback", "Failed"), ("user", "Failed"), ("user", "Succeeded")]


def test_rollback_by_hand(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    folder = tmp_path / "application"

    def roll_back(**variables: str) -> Result:
        inventory = fleet.inventory()
        return controller.playbook("agentless.codedeploy.rollback", inventory, deploy_group="web", **variables)

    assert deploy(controller, fleet, Application(folder, "1").folder).rc == 0
    nothing = roll_back()
    assert nothing.rc == 2
    assert "the group has no earlier revision to go back to" in " ".join(nothing.stdout.split())
    assert deploy(controller, fleet, Application(folder, "2").folder).rc == 0
    second = deployments(controller)[0]["deploymentId"]
    # The folder holds something else by now: the bundle comes from the controller's cache.
    shutil.rmtree(folder)
    result = roll_back()
    assert result.rc == 0, str(result)
    assert versions(fleet) == ["1"]
    result = roll_back(rollback_deployment_id=second)
    assert result.rc == 0, str(result)
    assert versions(fleet) == ["2"]
    bad = Application(folder, "3", AfterInstall="exit 1")
    assert deploy(controller, fleet, bad.folder, deploy_auto_rollback_configuration={}).rc == 2
    assert roll_back().rc == 0
    assert versions(fleet) == ["2"]
    unknown = roll_back(rollback_deployment_id="d-AAAAAAAAA")
    assert unknown.rc == 2
    assert "There is no deployment d-AAAAAAAAA" in " ".join(unknown.stdout.split())
    assert "Traceback" not in unknown.stdout + unknown.stderr
    foreign = roll_back(rollback_deployment_id=second, deploy_application="Other")
    assert f"Deployment {second} is one of application web, not of Other" in " ".join(foreign.stdout.split())
