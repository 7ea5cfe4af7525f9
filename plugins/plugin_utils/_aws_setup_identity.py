# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Identities in IAM: the controller's policy and role, and the profile of instances that download by themselves."""

from __future__ import annotations

import json
import typing as t
from functools import partial

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_policy import (
    JSONObject,
    controller_policy,
    instance_policy,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import (
    Access,
    Change,
    Wanted,
    found,
    is_ours,
)

ABSENT = "NoSuchEntity"
VERSION_LIMIT = 5
READ_REVISIONS = "read-revisions"


def policy_changes(aws: Access, wanted: Wanted) -> t.Iterator[Change]:
    """Return what has to be changed until the controller's policy is there and allows just what is needed."""
    iam, arn, resource = aws["iam"], wanted.iam_arn(f"policy/{wanted.policy}"), f"policy {wanted.policy}"
    after = controller_policy(wanted)
    policy = found(lambda: iam.get_policy(PolicyArn=arn), ABSENT)
    if policy is None:
        yield Change(
            resource,
            "create",
            lambda: iam.create_policy(PolicyName=wanted.policy, PolicyDocument=json.dumps(after), Tags=wanted.tag_list),
            None,
            after,
        )
        return
    version = policy["Policy"]["DefaultVersionId"]
    before = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    if before != after:
        yield Change(resource, "change what it allows", lambda: _replace(iam, arn, after), before, after)


def _replace(iam: t.Any, arn: str, document: JSONObject) -> None:
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    if len(versions) >= VERSION_LIMIT:
        oldest = min((one for one in versions if not one["IsDefaultVersion"]), key=lambda one: one["CreateDate"])
        iam.delete_policy_version(PolicyArn=arn, VersionId=oldest["VersionId"])
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(document), SetAsDefault=True)


def role_changes(aws: Access, wanted: Wanted) -> t.Iterator[Change]:
    """Return what has to be changed until the controller's role is there, trusted to whom it should be."""
    iam, resource = aws["iam"], f"role {wanted.role}"
    trust = _trust({"AWS": wanted.trusted_principals})
    role = found(lambda: iam.get_role(RoleName=wanted.role), ABSENT)
    if role is None:
        yield _creation(iam, wanted, wanted.role, trust, "Deploys with agentless.codedeploy")
    elif _comparable(role["Role"]["AssumeRolePolicyDocument"]) != _comparable(trust):
        yield Change(
            resource,
            "change who may assume it",
            lambda: iam.update_assume_role_policy(RoleName=wanted.role, PolicyDocument=json.dumps(trust)),
            role["Role"]["AssumeRolePolicyDocument"],
            trust,
        )
    arn = wanted.iam_arn(f"policy/{wanted.policy}")
    attached = _attached(iam, wanted.role) if role else []
    if arn not in attached:
        yield Change(
            resource,
            f"attach policy {wanted.policy}",
            lambda: iam.attach_role_policy(RoleName=wanted.role, PolicyArn=arn),
            attached,
            [*attached, arn],
        )


def profile_changes(aws: Access, wanted: Wanted) -> t.Iterator[Change]:
    """Return what has to be changed until the instances' profile and its role are there."""
    name = wanted.instance_profile
    if name is None:
        return
    iam, resource, document = aws["iam"], f"instance profile {name}", instance_policy(wanted)
    role = found(lambda: iam.get_role(RoleName=name), ABSENT)
    if role is None:
        trust = _trust({"Service": "ec2.amazonaws.com"})
        yield _creation(iam, wanted, name, trust, "Reads revisions of agentless.codedeploy")
    inline = role and found(lambda: iam.get_role_policy(RoleName=name, PolicyName=READ_REVISIONS), ABSENT)
    before = inline["PolicyDocument"] if inline else None
    if before != document:
        yield Change(
            f"role {name}",
            "allow to read the revisions",
            lambda: iam.put_role_policy(RoleName=name, PolicyName=READ_REVISIONS, PolicyDocument=json.dumps(document)),
            before,
            document,
        )
    profile = found(lambda: iam.get_instance_profile(InstanceProfileName=name), ABSENT)
    if profile is None:
        yield Change(
            resource,
            "create",
            lambda: iam.create_instance_profile(InstanceProfileName=name, Tags=wanted.tag_list),
            None,
            {"instance_profile": name},
        )
    if profile is None or not profile["InstanceProfile"]["Roles"]:
        yield Change(
            resource,
            f"give it the role {name}",
            lambda: iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name),
            None,
            {"role": name},
        )


def identity_removal(aws: Access, wanted: Wanted) -> t.Iterator[Change]:
    """Return what has to be done until profile, roles and policy are gone, in an order that IAM accepts."""
    iam, profile_name = aws["iam"], wanted.instance_profile
    profile = profile_name and found(lambda: iam.get_instance_profile(InstanceProfileName=profile_name), ABSENT)
    if profile and is_ours(profile["InstanceProfile"].get("Tags"), wanted):
        roles = [role["RoleName"] for role in profile["InstanceProfile"]["Roles"]]
        yield Change(
            f"instance profile {profile_name}",
            "delete",
            lambda: _delete_profile(iam, str(profile_name), roles),
            {"instance_profile": profile_name},
        )
    for name in filter(None, (profile_name, wanted.role)):
        role = found(partial(iam.get_role, RoleName=name), ABSENT)
        if role and is_ours(role["Role"].get("Tags"), wanted):
            yield Change(f"role {name}", "delete", partial(_delete_role, iam, name), {"role": name})
    arn = wanted.iam_arn(f"policy/{wanted.policy}")
    policy = found(lambda: iam.get_policy(PolicyArn=arn), ABSENT)
    if policy and is_ours(policy["Policy"].get("Tags"), wanted):
        yield Change(f"policy {wanted.policy}", "delete", lambda: _delete_policy(iam, arn), {"policy": wanted.policy})


def _creation(iam: t.Any, wanted: Wanted, name: str, trust: JSONObject, description: str) -> Change:
    return Change(
        f"role {name}",
        "create",
        lambda: iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(trust),
            Description=description,
            Tags=wanted.tag_list,
        ),
        None,
        trust,
    )


def _trust(principal: JSONObject) -> JSONObject:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _comparable(trust: JSONObject) -> JSONObject:
    """Return a trust policy in one spelling: AWS gives a list of one back as a text."""
    document: JSONObject = json.loads(json.dumps(trust))
    for statement in document.get("Statement", []):
        principals = statement.get("Principal", {})
        for kind, names in principals.items() if isinstance(principals, dict) else ():
            principals[kind] = sorted([names] if isinstance(names, str) else names)
    return document


def _attached(iam: t.Any, role: str) -> list[str]:
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=role)
    return [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]


def _delete_profile(iam: t.Any, name: str, roles: list[str]) -> None:
    for role in roles:
        iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
    iam.delete_instance_profile(InstanceProfileName=name)


def _delete_role(iam: t.Any, name: str) -> None:
    for arn in _attached(iam, name):
        iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=name):
        for policy in page["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def _delete_policy(iam: t.Any, arn: str) -> None:
    for page in iam.get_paginator("list_policy_versions").paginate(PolicyArn=arn):
        for version in page["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=arn)
