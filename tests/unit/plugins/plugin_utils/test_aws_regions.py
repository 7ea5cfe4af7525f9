# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances of other regions and accounts than the load balancers of their deployment are refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_regions import check_regions
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import Findings

BALANCED = {"load_balancer_info": {"target_group_info_list": [{"name": "web"}]}}
SUSPENDING = {
    "auto_scaling_groups": ["web"],
    "ec2_deployment_options": {"auto_scaling_group_processes_to_suspend": ["Terminate"]},
}
ALARMS = {"alarm_configuration": {"enabled": True, "alarms": [{"name": "errors"}]}}


def check(options: dict[str, Any], *regions: str, **more: str) -> Findings:
    """Check a deployment that asks AWS in us-east-1, with instances of these regions and one of nowhere."""
    findings = Findings()
    hosts: list[dict[str, Any]] = [{"codedeploy_aws": {"region": region}} for region in regions]
    if more:
        hosts[-1]["codedeploy_aws"].update(more)
    check_regions({**options, "aws": {"region": "us-east-1"}}, [*hosts, {}], findings)
    return findings


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (BALANCED, "target groups"),
        ({"load_balancer_info": {"elb_info_list": [{"name": "old"}]}}, "classic load balancers"),
        ({**BALANCED, **SUSPENDING}, "target groups and Auto Scaling groups"),
    ],
)
def test_several_regions(options: dict[str, Any], kind: str) -> None:
    assert check(options, "us-east-1", "us-east-1") == Findings()
    (problem,) = check(options, "us-east-1", "eu-west-1", "eu-west-1").problems
    assert f"(2 in eu-west-1, 1 in us-east-1), and a deployment's {kind} are in one; deploy to each" in problem


def test_another_region() -> None:
    (problem,) = check(BALANCED, "eu-west-1").problems
    assert problem == (
        "the instances are in eu-west-1, and the deployment's target groups are looked for in us-east-1; set "
        "region (deploy_region) to eu-west-1"
    )


def test_several_accounts() -> None:
    (problem,) = check(BALANCED, "us-east-1", "us-east-1", assume_role_arn="arn:aws:iam::1:role/other").problems
    assert "several accounts" in problem


def test_alarms_alone_are_a_warning() -> None:
    found = check(ALARMS, "us-east-1", "eu-west-1")
    assert found.problems == []
    (warning,) = found.warnings
    assert "its alarms are those of us-east-1 alone" in warning
    assert check(ALARMS, "eu-west-1") == Findings()


def test_what_asks_for_nothing_may_be_anywhere() -> None:
    assert check({}, "us-east-1", "eu-west-1", assume_role_arn="arn:aws:iam::1:role/other") == Findings()
    assert check({"load_balancer_info": {}}, "us-east-1", "eu-west-1") == Findings()
