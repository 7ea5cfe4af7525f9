# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployment mode RESTART."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.applications import Application
from support.controller import Controller, Result
from support.local_fleet import LocalFleet
from support.record import deployments, events

DEPLOY = "agentless.codedeploy.deploy"
SCRIPTS = ["ApplicationStop", "BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService"]


def test_restart(controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path) -> None:
    fleet = local_fleet(1)
    inventory, trace = fleet.inventory(), tmp_path / "trace"

    def restart(**variables: object) -> Result:
        given = {"deploy_group": "web", "deploy_deployment_mode": "RESTART", **variables}
        return controller.playbook(DEPLOY, inventory, **given)

    nothing = restart()
    assert nothing.rc == 2
    assert "no deployment of the group has succeeded" in " ".join((nothing.stdout + nothing.stderr).split())
    note = f'echo "$LIFECYCLE_EVENT" >> {trace}'
    folder = Application(tmp_path / "one", "1", **dict.fromkeys(SCRIPTS, note)).folder
    first = controller.playbook(
        DEPLOY, inventory, deploy_group="web", deploy_revision=folder, deploy_file_exists_behavior="OVERWRITE"
    )
    assert first.rc == 0, str(first)
    trace.unlink()
    refused = restart(deploy_revision=folder)
    assert refused.rc == 2
    assert "a restart has no revision of its own" in " ".join((refused.stdout + refused.stderr).split())
    result = restart()
    assert result.rc == 0, str(result)
    assert trace.read_text().split() == ["ApplicationStop", "ApplicationStart", "ValidateService"]
    newest = deployments(controller)[0]
    assert (newest["status"], newest["fileExistsBehavior"]) == ("Succeeded", "OVERWRITE")
    recorded = events(controller, newest["deploymentId"], "web1")
    assert {name: event["status"] for name, event in recorded.items()} == dict.fromkeys(
        trace.read_text().split(), "Succeeded"
    )
