# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments that are stopped from another shell while they are at work."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.applications import Application, installed_version
from support.controller import Controller, Result
from support.local_fleet import LocalFleet
from support.record import deployments, events, statuses
from support.waiting import wait_until

DEPLOY = "agentless.codedeploy.deploy"
Fleets = Callable[..., LocalFleet]


def stop(controller: Controller, **variables: str) -> Result:
    """Run the stop playbook."""
    extra = [argument for name, value in variables.items() for argument in ("-e", f"{name}={value}")]
    return controller.run("ansible-playbook", "agentless.codedeploy.stop", *extra)


class Held:
    """A deployment whose hook waits on each instance until it is released."""

    def __init__(self, controller: Controller, fleet: LocalFleet, folder: Path, hook: str, **variables: object) -> None:
        self.started, self._release = folder / "started", folder / "release"
        hold = f"touch {self.started}; while [ ! -e {self._release} ]; do sleep 0.1; done"
        trace = f'echo "$LIFECYCLE_EVENT" >> {folder / "trace"}'
        application = Application(folder / "application", "1", **{"ApplicationStart": trace, hook: hold})
        variables = {"deploy_group": "web", "deploy_revision": application.folder, **variables}
        arguments = controller.playbook_arguments(DEPLOY, fleet.inventory(), **variables)
        self.process: subprocess.Popen[str] = controller.start("ansible-playbook", *arguments)
        wait_until(self.started.exists, f"{hook} has begun", self.process)

    def release(self) -> None:
        """Let the hook end."""
        self._release.touch()

    def output(self) -> str:
        """Wait for the end of the run and return what it wrote."""
        return " ".join("".join(self.process.communicate()).split())


@pytest.mark.parametrize("poll_after", [0, 120])
def test_stop_between_two_events(controller: Controller, local_fleet: Fleets, tmp_path: Path, poll_after: int) -> None:
    fleet = local_fleet(3)
    held = Held(controller, fleet, tmp_path, "BeforeInstall", deploy_poll_after=poll_after)
    try:
        result = stop(controller, deploy_group="web")
        assert result.rc == 0, str(result)
        assert "In work: web1; scripts that run there are not killed" in " ".join(result.stdout.split())
        (deployment,) = deployments(controller)
        identifier = deployment["deploymentId"]
        assert deployment["status"] == "InProgress"
        again = stop(controller, deployment_id=identifier)
        assert again.rc == 0, str(again)
        (log,) = fleet.deployment_root("web1").glob(f"*/{identifier}/events.jsonl")
        wait_until((log.parent / "stop").exists, "the instance is told", held.process)
    finally:
        held.release()
        output = held.output()
    assert held.process.returncode == 2, output
    assert f"Deployment {identifier} Stopped: MANUAL_STOP" in output
    assert "The deployment was stopped before Install." in output
    (deployment,) = deployments(controller)
    assert deployment["status"] == "Stopped"
    assert deployment["errorInformation"]["code"] == "MANUAL_STOP"
    assert statuses(controller, identifier) == {"web1": "Failed", "web2": "Skipped", "web3": "Skipped"}
    of_web1 = {name: event["status"] for name, event in events(controller, identifier, "web1").items()}
    assert of_web1["BeforeInstall"] == "Succeeded"
    assert {of_web1[name] for name in ("Install", "AfterInstall", "ApplicationStart", "ValidateService")} == {"Skipped"}
    assert installed_version(fleet.files("web1")) is None
    assert not (tmp_path / "trace").exists()
    assert not fleet.deployment_root("web2").exists()
    late = stop(controller, deployment_id=identifier)
    assert late.rc == 2
    assert f"DeploymentAlreadyCompleted: Deployment {identifier} has ended already: Stopped." in " ".join(
        late.stdout.split()
    )
    # What was stopped is no obstacle to the next deployment.
    variables = {"deploy_group": "web", "deploy_revision": tmp_path / "application"}
    assert controller.playbook(DEPLOY, fleet.inventory(), **variables).rc == 0
    assert installed_version(fleet.files("web1")) == "1"


def test_stop_at_the_last_event(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    held = Held(controller, fleet, tmp_path, "ValidateService", deploy_poll_after=0)
    try:
        identifier = deployments(controller)[0]["deploymentId"]
        by_id = ["agentless.codedeploy.stop", "-e", f"deployment_id={identifier}"]
        checked = controller.run("ansible-playbook", *by_id, "--check", "-v")
        assert f"check mode: would stop {identifier}; in work: web1" in checked.stdout, str(checked)
        assert '"stop_status": "Pending"' in checked.stdout
        assert stop(controller, deployment_id=identifier).rc == 0
    finally:
        held.release()
        output = held.output()
    assert held.process.returncode == 2, output
    (deployment,) = deployments(controller)
    assert deployment["status"] == "Stopped"
    assert statuses(controller, identifier) == {"web1": "Succeeded", "web2": "Skipped"}
    ended = controller.run("ansible-playbook", *by_id, "--check")
    assert (ended.rc, "DeploymentAlreadyCompleted" in ended.stdout) == (2, True), str(ended)


def test_stop_what_a_dead_controller_left(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    held = Held(controller, fleet, tmp_path, "BeforeInstall", deploy_poll_after=60)
    held.process.kill()
    held.process.wait()
    try:
        result = stop(controller, deploy_group="web")
        assert result.rc == 0, str(result)
        (deployment,) = deployments(controller)
        assert f"Deployment {deployment['deploymentId']}: Stopped." in result.stdout
        assert deployment["status"] == "Stopped"
    finally:
        held.release()


def test_nothing_to_stop(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    for variables, message in (
        ({"deploy_group": "web"}, "The deployment group 'web' has no active deployment."),
        ({"deployment_id": "d-AAAAAAAAA"}, "There is no deployment d-AAAAAAAAA"),
        ({}, "Name the deployment, -e deployment_id=ID, or its group, -e deploy_group=NAME."),
    ):
        result = stop(controller, **variables)
        assert result.rc == 2
        assert message in " ".join(result.stdout.split())
        assert "Traceback" not in result.stdout + result.stderr
