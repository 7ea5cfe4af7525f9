# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wherever AWS is asked, a user reads what is missing: credentials, a permission, patience."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.applications import Application
from support.aws_server import AwsServer
from support.deployments import request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils import _aws
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._alarms import alarm_state, check_before_start
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._audit import list_audit
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._auto_scaling import suspend_or_end
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup import changes_to_present, wanted_setup
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import Access
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import create_deployment, current_owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._doctor_aws import check_aws
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ec2_instances import find_instances
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._example_fleet import ExampleFleet, FleetWanted
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_definition import read_groups
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._push import pack_source, push
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import resolve_revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._signed_address import signed_address
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic import Traffic
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_classic import ClassicLoadBalancer
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_target_group import TargetGroup

ALARMS = {"enabled": True, "alarms": [{"name": "errors"}]}
SETUP = ("policy", "role", "trusted_principals", "instance_profile", "event_bus", "features", "target_groups")


def list_inventory(_folder: Path) -> object:
    tags = {"ec2_tag_filters": [{"key": "App"}]}
    return find_instances(AwsSettings.from_arguments({}), None, read_groups("web", [_group(**tags)]))


def list_scaling_groups(_folder: Path) -> object:
    return find_instances(
        AwsSettings.from_arguments({}), None, read_groups("web", [_group(auto_scaling_groups=["web"])])
    )


def _group(**settings: object) -> dict[str, object]:
    return {"deployment_group_name": "a", **settings}


def push_bundle(folder: Path) -> object:
    source = Application(folder / "application", "1").folder
    return push(pack_source(str(source), "zip", None, False), "s3://bundles/new.zip", "HollowWeb", {}, False)


def fetch_bundle(_folder: Path) -> object:
    return resolve_revision("s3://bundles/app.zip", [])


def sign(_folder: Path) -> object:
    return signed_address({"bucket": "bundles", "key": "app.zip", "version": ""}, {})


def block_in_target_group(_folder: Path) -> object:
    return Traffic([TargetGroup(AwsSettings.from_arguments({}), "web", "i-0123456789abcdef0")]).block()


def block_in_classic_load_balancer(_folder: Path) -> object:
    return Traffic([ClassicLoadBalancer(AwsSettings.from_arguments({}), "web", "i-0123456789abcdef0")]).block()


def read_alarms(_folder: Path) -> object:
    settings = AwsSettings.from_arguments({})
    assert check_before_start(settings, ALARMS)[0], "it is not taken for quiet"
    return alarm_state(settings, ALARMS).unreadable


def publish(folder: Path) -> object:
    trigger = {"trigger_name": "tell", "trigger_events": ["DeploymentStart"]}
    trigger["trigger_target_arn"] = "arn:aws:sns:us-east-1:123456789012:deployments"
    store = open_store(str(folder / "store.sqlite"))
    create_deployment(store, request("a", options={"trigger_configurations": [trigger]}))
    (entry,) = [entry for entry in list_audit(store) if entry.event_name == "NotificationFailed"]
    return entry.result["error_message"]


def suspend_processes(folder: Path) -> object:
    options = {"ec2_deployment_options": {"auto_scaling_group_processes_to_suspend": ["Terminate"]}}
    store = open_store(str(folder / "store.sqlite"))
    made = create_deployment(store, request("a", options={**options, "auto_scaling_groups": ["web"]}))
    return suspend_or_end(store, made, current_owner())


def examine(_folder: Path) -> object:
    (finding,) = check_aws(Access(AwsSettings.from_arguments({})), {"alarm_configuration": ALARMS}, None)
    assert finding.verdict == "problem"
    return finding.text


def set_up(_folder: Path) -> object:
    given = dict.fromkeys((*SETUP, "topic", "auto_scaling_groups"))
    aws = Access(AwsSettings.from_arguments({}))
    arguments = {**given, "application_name": "HollowWeb", "bucket": "hollowweb", "tags": {}}
    return changes_to_present(aws, wanted_setup(aws, arguments))


def launch_fleet(_folder: Path) -> object:
    wanted = FleetWanted("HollowWeb", "a", 2, "t3.micro", None, None, None, [], [], "203.0.113.7/32", "0.0.0.0/0")
    # As its action does.
    with _aws.aws_errors():
        return list(ExampleFleet(Access(AwsSettings.from_arguments({})), wanted).to_present())


# What a user does, the call that is refused, and the permission that it needs; None: nothing is called.
ASKING: list[tuple[Callable[[Path], object], str | None, str]] = [
    (list_inventory, "DescribeInstances", "ec2:DescribeInstances"),
    (list_scaling_groups, "DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingGroups"),
    (push_bundle, "PUT", "s3:PutObject"),
    (fetch_bundle, "GET", "s3:GetObject"),
    (sign, None, ""),
    (block_in_target_group, "DescribeTargetGroups", "elasticloadbalancing:DescribeTargetGroups"),
    (block_in_classic_load_balancer, "DescribeLoadBalancers", "elasticloadbalancing:DescribeLoadBalancers"),
    (read_alarms, "DescribeAlarms", "cloudwatch:DescribeAlarms"),
    (publish, "Publish", "sns:Publish"),
    (suspend_processes, "DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingGroups"),
    (examine, "GetCallerIdentity", "sts:GetCallerIdentity"),
    (set_up, "GetCallerIdentity", "sts:GetCallerIdentity"),
    (launch_fleet, "DescribeSubnets", "ec2:DescribeSubnets"),
]
CALLING = [one for one in ASKING if one[1]]


@pytest.fixture(autouse=True)
def server(aws_server: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    """Give an AWS with a bucket and a bundle, which is asked once and not six times."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_aws, "MOST_ATTEMPTS", 1)
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    s3 = aws_server.client("s3")
    s3.create_bucket(Bucket="bundles")
    s3.put_object(Bucket="bundles", Key="app.zip", Body=b"none")
    return aws_server


def what_a_user_reads(act: Callable[[Path], object], folder: Path) -> str:
    """Return the error, raised or shown."""
    try:
        return str(act(folder))
    except Exception as error:
        assert not type(error).__module__.startswith("boto"), f"{type(error)}: {error}"
        return str(error)


def names(asking: list[tuple[Callable[[Path], object], str | None, str]]) -> list[str]:
    return [act.__name__ for act, _call, _permission in asking]


@pytest.mark.parametrize(("act", "call", "permission"), ASKING, ids=names(ASKING))
def test_no_credentials(
    act: Callable[[Path], object], call: str, permission: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert "there are no AWS credentials; set AWS_PROFILE" in what_a_user_reads(act, tmp_path)


@pytest.mark.parametrize(("act", "call", "permission"), CALLING, ids=names(CALLING))
def test_missing_permission(
    act: Callable[[Path], object], call: str, permission: str, server: AwsServer, tmp_path: Path
) -> None:
    server.fail(call, "AccessDenied", "no", status=403)
    assert f"allow {permission} for these credentials" in what_a_user_reads(act, tmp_path)


@pytest.mark.parametrize(("act", "call", "permission"), CALLING, ids=names(CALLING))
def test_throttled(
    act: Callable[[Path], object], call: str, permission: str, server: AwsServer, tmp_path: Path
) -> None:
    server.fail(call, "SlowDown" if call in ("PUT", "GET") else "Throttling", "slower", status=503)
    text = what_a_user_reads(act, tmp_path)
    assert "was throttled, 1 attempts in all; run again later" in text


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda folder: resolve_revision("s3://nowhere/app.zip", []), "nowhere"),
        (block_in_target_group, "this target group does not exist"),
        (block_in_classic_load_balancer, "this load balancer does not exist"),
        (read_alarms, "CloudWatch has no alarm errors in this account and region"),
        (publish, "does not exist"),
        (suspend_processes, "there is no Auto Scaling group web in this region and account"),
    ],
)
def test_missing_or_in_another_region(act: Callable[[Path], object], sentence: str, tmp_path: Path) -> None:
    text = what_a_user_reads(act, tmp_path)
    assert sentence in text
