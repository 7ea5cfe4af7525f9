# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the doctor asks AWS: who this is, what it may do, and whether what a deployment group names is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsError, AwsSettings, aws_errors
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_errors import DENIED
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_policy import controller_policy
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import Access, Wanted
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._doctor import Finding

# AWS refuses what is signed at a time that is further off.
MOST_CLOCK_SECONDS = 300
# SimulatePrincipalPolicy takes so many actions in a call.
MOST_ACTIONS = 100


@dataclass(frozen=True)
class Identity:
    """Whose the credentials are: V(arn:aws:iam::123456789012:user/ada)."""

    arn: str
    account: str
    region: str

    @property
    def partition(self) -> str:
        """V(aws), V(aws-cn), V(aws-us-gov)."""
        return self.arn.split(":")[1]


def check_aws(aws: Access, group: Mapping[str, Any], bucket: str | None) -> list[Finding]:
    """Ask AWS about everything that a deployment group needs there.

    :param group: its settings, in the API's shape in snake_case.
    :param bucket: for the revisions, None when there is none.
    """
    try:
        identity, credentials = check_credentials(aws)
    except AwsError as error:
        # Nothing else can be asked.
        return [Finding("boto3" if error.code == "NoBoto3" else "credentials", "problem", error.message)]
    findings = [*credentials, *check_permissions(aws, identity, group, bucket)]
    if bucket:
        findings.append(_asked("bucket", lambda: check_bucket(aws, bucket, identity.region)))
    return findings + [_asked(check, look) for check, look in _resources(aws, group)]


def check_credentials(aws: Access) -> tuple[Identity, list[Finding]]:
    """Return whose the credentials are, and what is to be said of them and of the clock.

    :raises AwsError: there are none, or AWS does not accept them.
    """
    with aws_errors():
        sts = aws["sts"]
        answer = sts.get_caller_identity()
    identity = Identity(answer["Arn"], answer["Account"], str(aws["s3"].meta.region_name or sts.meta.region_name))
    findings = [Finding("credentials", "ok", f"{identity.arn} in {identity.region}")]
    date = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    if date:
        wrong = abs((datetime.now(timezone.utc) - parsedate_to_datetime(date)).total_seconds())
        text = f"{int(wrong)} seconds from AWS's"
        if wrong > MOST_CLOCK_SECONDS:
            findings.append(Finding("clock", "problem", f"{text}, which then refuses what is signed here; set it"))
    return identity, findings


def features_of(group: Mapping[str, Any], bucket: str | None) -> list[str]:
    """Return the features, as in C(_aws_calls.CALLS), that a deployment group uses."""
    needed = {
        "inventory": group.get("ec2_tag_filters") or group.get("ec2_tag_set") or group.get("auto_scaling_groups"),
        "push": bucket,
        "revisions": bucket,
        "traffic": any((group.get("load_balancer_info") or {}).values()),
        "auto_scaling": (group.get("ec2_deployment_options") or {}).get("auto_scaling_group_processes_to_suspend"),
        "alarms": (group.get("alarm_configuration") or {}).get("enabled"),
        "notifications": group.get("trigger_configurations") or group.get("event_bus_name"),
    }
    return [name for name, value in needed.items() if value]


def check_permissions(aws: Access, identity: Identity, group: Mapping[str, Any], bucket: str | None) -> list[Finding]:
    """Have IAM say which of the actions that a deployment group needs the credentials may not do."""
    features = features_of(group, bucket)
    statements = controller_policy(_wanted(identity, group, bucket, features))["Statement"] if features else []
    if not statements:
        return [Finding("permissions", "ok", "none are needed")]
    try:
        source = _source(aws, identity)
        if source is None:
            return [Finding("permissions", "ok", "the account's root user may do everything; use a role instead")]
        missing = sorted({action for one in statements for action in _denied(aws, source, one)})
    except AwsError as error:
        if error.code not in DENIED:
            return [Finding("permissions", "unknown", error.message)]
        why = f"these credentials may not ask IAM what they may do; allow {error.message.rpartition('allow ')[2]}"
        return [Finding("permissions", "unknown", f"not checked: {why}")]
    if missing:
        how = "allow them; setup_aws makes a policy of all that is needed"
        return [Finding("permissions", "problem", f"{identity.arn} lacks {', '.join(missing)}; {how}")]
    count = sum(len(one["Action"]) for one in statements)
    return [Finding("permissions", "ok", f"all {count} for {', '.join(features)}")]


def _wanted(identity: Identity, group: Mapping[str, Any], bucket: str | None, features: list[str]) -> Wanted:
    balancers = group.get("load_balancer_info") or {}
    triggers = group.get("trigger_configurations") or []
    topic = next((str(one.get("trigger_target_arn")) for one in triggers), None)
    bus = group.get("event_bus_name")
    return Wanted(
        application_name=str(group.get("application_name") or ""),
        bucket=bucket or "",
        region=identity.region,
        account=identity.account,
        partition=identity.partition,
        policy="",
        role="",
        trusted_principals=[],
        instance_profile=None,
        topic=topic.rpartition(":")[2] if topic else None,
        event_bus=str(bus).rpartition("/")[2] if bus else None,
        features=features,
        target_groups=[str(one.get("name")) for one in balancers.get("target_group_info_list") or []],
        auto_scaling_groups=list(group.get("auto_scaling_groups") or []),
        tags={},
    )


def _source(aws: Access, identity: Identity) -> str | None:
    """Return the ARN of the user or role whose policies hold; of a session it is the role's. None for the root user."""
    kind = identity.arn.rpartition(":")[2]
    if kind == "root":
        return None
    if not kind.startswith("assumed-role/"):
        return identity.arn
    name = kind.split("/")[1]
    try:
        with aws_errors():
            # The role's path is not in the session's ARN.
            return str(aws["iam"].get_role(RoleName=name)["Role"]["Arn"])
    except AwsError as error:
        if error.code not in DENIED:
            raise
        return f"arn:{identity.partition}:iam::{identity.account}:role/{name}"


def _denied(aws: Access, source: str, statement: Mapping[str, Any]) -> Iterator[str]:
    actions = statement["Action"]
    for start in range(0, len(actions), MOST_ACTIONS):
        with aws_errors():
            pages = aws["iam"].get_paginator("simulate_principal_policy")
            pages = pages.paginate(
                PolicySourceArn=source,
                ActionNames=actions[start : start + MOST_ACTIONS],
                ResourceArns=statement["Resource"],
            )
            for page in pages:
                for result in page["EvaluationResults"]:
                    # Whether a condition holds that asks for more than this is not known before the real call.
                    if result["EvalDecision"] != "allowed" and not result.get("MissingContextValues"):
                        yield str(result["EvalActionName"])


def check_bucket(aws: Access, bucket: str, region: str) -> Finding:
    """Return whether the bucket is there, in this region and keeps versions.

    :raises AwsError: it is not, or nobody may know.
    """
    with aws_errors():
        s3 = aws["s3"]
        headers = s3.head_bucket(Bucket=bucket)["ResponseMetadata"].get("HTTPHeaders", {})
        there = headers.get("x-amz-bucket-region") or region
        if there != region:
            text = f"s3://{bucket} is in {there}, and the region is {region}; set deploy_region={there}"
            return Finding("bucket", "problem", text)
        try:
            with aws_errors():
                status = s3.get_bucket_versioning(Bucket=bucket).get("Status")
        except AwsError as error:
            if error.code not in DENIED:
                raise
            return Finding("bucket", "ok", f"s3://{bucket}; whether it keeps versions may not be asked")
    if status != "Enabled":
        text = f"s3://{bucket} keeps no versions: a revision that is uploaded again replaces the one before"
        return Finding("bucket", "warning", text)
    return Finding("bucket", "ok", f"s3://{bucket}, with versions")


def _resources(aws: Access, group: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[], Finding]]]:
    """Give a look at each thing that the group's settings name."""
    balancers = group.get("load_balancer_info") or {}
    for one in balancers.get("target_group_info_list") or []:
        yield "traffic", partial(_target_group, aws, str(one.get("name")))
    for one in balancers.get("elb_info_list") or []:
        yield "traffic", partial(_load_balancer, aws, str(one.get("name")))
    for name in group.get("auto_scaling_groups") or []:
        yield "scaling", partial(_scaling_group, aws, str(name))
    alarms = group.get("alarm_configuration") or {}
    if alarms.get("enabled") and alarms.get("alarms"):
        names = [str(one.get("name")) for one in alarms["alarms"]]
        yield "alarms", partial(_alarms, aws, names)


def _asked(check: str, look: Callable[[], Finding]) -> Finding:
    try:
        with aws_errors():
            return look()
    except AwsError as error:
        return Finding(check, "problem", error.message)


def _target_group(aws: Access, name: str) -> Finding:
    (found,) = aws["elbv2"].describe_target_groups(Names=[name])["TargetGroups"]
    if found.get("TargetType", "instance") != "instance":
        text = f"target group {name} has targets of type {found['TargetType']}; instances need the type instance"
        return Finding("traffic", "problem", text)
    if not found.get("LoadBalancerArns"):
        return Finding("traffic", "warning", f"target group {name} belongs to no load balancer")
    return Finding("traffic", "ok", f"target group {name}")


def _load_balancer(aws: Access, name: str) -> Finding:
    aws["elb"].describe_load_balancers(LoadBalancerNames=[name])
    return Finding("traffic", "ok", f"classic load balancer {name}")


def _scaling_group(aws: Access, name: str) -> Finding:
    found = aws["autoscaling"].describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    if not found:
        return Finding("scaling", "problem", f"there is no Auto Scaling group {name}; check its name and the region")
    count = sum(one["LifecycleState"] == "InService" for one in found[0]["Instances"])
    return Finding("scaling", "ok" if count else "warning", f"Auto Scaling group {name} has {count} in service")


def _alarms(aws: Access, names: list[str]) -> Finding:
    answer = aws["cloudwatch"].describe_alarms(AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    states = {
        one["AlarmName"]: one["StateValue"] for kind in ("MetricAlarms", "CompositeAlarms") for one in answer[kind]
    }
    missing = [name for name in names if name not in states]
    if missing:
        return Finding("alarms", "problem", f"there is no alarm {', '.join(missing)}; check its name and the region")
    ringing = [name for name in names if states[name] == "ALARM"]
    if ringing:
        return Finding("alarms", "problem", f"{', '.join(ringing)} is in ALARM: no deployment starts; see to its cause")
    return Finding("alarms", "ok", f"{len(names)}, none in ALARM")


def settings_for(arguments: Mapping[str, Any], group: Mapping[str, Any]) -> AwsSettings:
    """Return how AWS is reached: what the run says, and below it what the group says."""
    return AwsSettings.from_arguments(arguments, group)
