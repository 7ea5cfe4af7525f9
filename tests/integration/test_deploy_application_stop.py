# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A broken ApplicationStop of the revision that is installed, and what replaces it for one deployment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.applications import Application, installed_version
from support.controller import Controller
from support.local_fleet import LocalFleet
from support.record import deployments, events, status

DEPLOY = "agentless.codedeploy.deploy"


@pytest.mark.parametrize(
    ("choice", "recorded", "ran"),
    [("new", "Succeeded", "new"), ("skip", "Skipped", None), ("content/by_hand.sh", "Succeeded", "by hand")],
)
def test_what_replaces_it(
    controller: Controller,
    local_fleet: Callable[..., LocalFleet],
    tmp_path: Path,
    choice: str,
    recorded: str,
    ran: str | None,
) -> None:
    fleet = local_fleet(1)
    inventory, trace = fleet.inventory(), tmp_path / "trace"
    broken = Application(tmp_path / "one", "1", ApplicationStop=f"echo broken > {trace}; exit 1")
    assert controller.playbook(DEPLOY, inventory, deploy_group="web", deploy_revision=broken.folder).rc == 0
    two = Application(tmp_path / "two", "2", ApplicationStop=f"echo new > {trace}")
    script = two.folder / "content" / "by_hand.sh"
    script.write_text(f"#!/bin/sh\necho by hand > {trace}\n")
    script.chmod(0o755)
    given = {"deploy_group": "web", "deploy_revision": two.folder, "deploy_application_stop": choice}
    result = controller.playbook(DEPLOY, inventory, **given)
    assert result.rc == 0, str(result)
    identifier = deployments(controller)[0]["deploymentId"]
    assert events(controller, identifier, "web1")["ApplicationStop"]["status"] == recorded
    assert len(events(controller, identifier, "web1")) == 7
    assert (trace.read_text().strip() if trace.exists() else None) == ran
    assert installed_version(fleet.files("web1")) == "2"
    shown = controller.run("ansible-playbook", "agentless.codedeploy.status", "-e", f"deployment_id={identifier}")
    assert "ApplicationStop" in shown.stdout
    # What is kept beside the revision has its own scripts, and no other deployment takes the choice over.
    (kept,) = fleet.deployment_root("web1").glob(f"*/{identifier}/appspec.json")
    assert "by_hand" not in kept.read_text()
    assert status(controller, deployment_id=identifier)["deploymentInfo"]["status"] == "Succeeded"


def test_a_script_that_is_not_there(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    folder = Application(tmp_path / "one", "1").folder
    given = {"deploy_group": "web", "deploy_revision": folder, "deploy_application_stop": "scripts/missing.sh"}
    result = controller.playbook(DEPLOY, local_fleet(1).inventory(), **given)
    assert result.rc == 2
    output = " ".join((result.stdout + result.stderr).split())
    assert "deploy_application_stop: scripts/missing.sh: there is no such script in the bundle" in output
