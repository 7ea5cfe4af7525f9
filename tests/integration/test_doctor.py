# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook doctor, as people run it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from support.aws_server import AwsServer
from support.controller import Controller
from support.local_fleet import LocalFleet

DOCTOR = "agentless.codedeploy.doctor"


def test_everything_is_in_order(controller: Controller, local_fleet: Callable[..., LocalFleet]) -> None:
    fleet = local_fleet(2)
    variables = {"deploy_group": fleet.group, "doctor_minimum_disk": 1}
    result = controller.playbook(DOCTOR, fleet.inventory(), **variables)
    assert result.rc == 0, str(result)
    assert "the controller and 2 instances: ready to deploy" in result.stdout
    assert "changed=0" in result.stdout and not controller.store.exists()


def test_what_is_to_be_done(
    controller: Controller, local_fleet: Callable[..., LocalFleet], aws_server: AwsServer, tmp_path: Path
) -> None:
    aws_server.fail("SimulatePrincipalPolicy", "AccessDenied", status=403)
    fleet = local_fleet(2)
    unreachable, other = sorted(fleet.names)
    fleet.make_unreachable(unreachable)
    report = tmp_path / "report.json"
    arguments = controller.playbook_arguments(
        DOCTOR,
        fleet.inventory(),
        deploy_group=fleet.group,
        deploy_revision="s3://hollowweb/web.zip",
        doctor_minimum_disk=1_000_000_000,
        doctor_format="json",
        doctor_path=str(report),
    )
    result = controller.run("ansible-playbook", *arguments, **aws_server.environment)
    assert result.rc == 2, str(result)
    findings = json.loads(report.read_text())["findings"]
    problems = {
        (place, one["check"]) for place, found in findings.items() for one in found if one["verdict"] == "problem"
    }
    assert problems == {("controller", "bucket"), (unreachable, "reachable"), (other, "disk")}
    assert "3 things are to do before a deployment" in result.stdout + result.stderr
    unknown = [one["check"] for one in findings["controller"] if one["verdict"] == "unknown"]
    assert unknown == ["permissions"]
