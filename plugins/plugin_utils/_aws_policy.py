# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies of IAM that allow what this collection calls, and nothing else."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_calls import (
    CALLS,
    FURTHER_ACTIONS,
    REPLACED,
    WITHOUT_PERMISSION,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_errors import iam_action

if t.TYPE_CHECKING:
    from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import Wanted

JSONObject = dict[str, t.Any]
# Actions on the bucket itself; the others of S3 are on the objects in it.
_OF_BUCKET = ("s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetBucketLocation")
_READ_REVISIONS = ("s3:GetObject",)


def actions_of(calls: Iterable[str]) -> list[str]:
    """Return the IAM actions that calls need, sorted.

    :param calls: as in C(CALLS), ``service:Operation``.
    """
    actions: set[str] = set()
    for call in calls:
        actions.update(FURTHER_ACTIONS.get(call, ()))
        if call not in REPLACED and call not in WITHOUT_PERMISSION:
            actions.add(iam_action(call))
    return sorted(actions)


def controller_policy(wanted: Wanted) -> JSONObject:
    """Return the policy of a controller: the features that it uses, on the application's own resources."""
    calls = {call for feature in wanted.features for call in CALLS[feature]}
    return _document(_by_resource(wanted, actions_of(calls)))


def instance_policy(wanted: Wanted) -> JSONObject:
    """Return the policy of instances that download revisions by themselves."""
    return _document(_by_resource(wanted, actions_of(_READ_REVISIONS)))


def _by_resource(wanted: Wanted, actions: Iterable[str]) -> dict[tuple[str, ...], list[str]]:
    grouped: dict[tuple[str, ...], list[str]] = {}
    for action in actions:
        resources = tuple(_resources(wanted, action))
        if resources:
            grouped.setdefault(resources, []).append(action)
    return grouped


def _resources(wanted: Wanted, action: str) -> list[str]:
    """Return what an action is allowed on; descriptions of the account know no narrower resource than all."""
    service, _colon, name = action.partition(":")
    regional = f"arn:{wanted.partition}:{service}:{wanted.region}:{wanted.account}"
    if service == "s3":
        return [wanted.bucket_arn] if action in _OF_BUCKET else [f"{wanted.bucket_arn}/*"]
    if service == "sns":
        return [wanted.topic_arn] if wanted.topic_arn else []
    if service == "events":
        return [f"{regional}:event-bus/{wanted.event_bus}"] if wanted.event_bus else []
    if service == "iam":
        # What the controller may find out about itself.
        return [wanted.iam_arn(f"role/{wanted.role}")]
    if name in ("RegisterTargets", "DeregisterTargets"):
        return [f"{regional}:targetgroup/{group}/*" for group in wanted.target_groups or ["*"]]
    if name in ("RegisterInstancesWithLoadBalancer", "DeregisterInstancesFromLoadBalancer"):
        return [f"{regional}:loadbalancer/*"]
    if name in ("SuspendProcesses", "ResumeProcesses"):
        groups = wanted.auto_scaling_groups or ["*"]
        return [f"{regional}:autoScalingGroup:*:autoScalingGroupName/{group}" for group in groups]
    return ["*"]


def _document(grouped: dict[tuple[str, ...], list[str]]) -> JSONObject:
    # IAM takes no policy that allows nothing; this is what anybody may anyway.
    grouped = grouped or {("*",): ["sts:GetCallerIdentity"]}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": actions, "Resource": list(resources)}
            for resources, actions in sorted(grouped.items())
        ],
    }
