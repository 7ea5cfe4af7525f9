# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Set up in AWS what deployments of an application need, or remove it: decide everything first, then change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import aws_errors
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_calls import CALLS
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_bucket import (
    bucket_changes,
    bucket_removal,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import Access, Change, Wanted
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_identity import (
    identity_removal,
    policy_changes,
    profile_changes,
    role_changes,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_topic import topic_changes, topic_removal
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput


def wanted_setup(aws: Access, arguments: Mapping[str, Any]) -> Wanted:
    """Put together what is to be set up, in the account and region of the credentials.

    :param arguments: of the module M(agentless.codedeploy.aws_setup).
    :raises AwsError: there are no credentials, or no region.
    :raises InvalidInput: a feature is not known.
    """
    unknown = [name for name in arguments["features"] or [] if name not in CALLS]
    if unknown:
        raise InvalidInput(f"features: {', '.join(unknown)}: the features are {', '.join(CALLS)}")
    with aws_errors():
        identity = aws["sts"].get_caller_identity()
        region = aws["s3"].meta.region_name or aws["sts"].meta.region_name
    partition, account = identity["Arn"].split(":")[1], identity["Account"]
    application = arguments["application_name"]
    root = f"arn:{partition}:iam::{account}:root"
    return Wanted(
        application_name=application,
        bucket=arguments["bucket"],
        region=region,
        account=account,
        partition=partition,
        policy=arguments["policy"] or f"{application}-codedeploy-controller",
        role=arguments["role"] or f"{application}-codedeploy-controller",
        trusted_principals=sorted(arguments["trusted_principals"] or [root]),
        instance_profile=arguments["instance_profile"],
        topic=arguments["topic"],
        event_bus=arguments["event_bus"],
        features=list(arguments["features"] or CALLS),
        target_groups=list(arguments["target_groups"] or []),
        auto_scaling_groups=list(arguments["auto_scaling_groups"] or []),
        tags=dict(arguments["tags"] or {}),
    )


def changes_to_present(aws: Access, wanted: Wanted) -> list[Change]:
    """Return what has to be changed until all is there, in the order in which it is to be done."""
    return _collect(_present(aws, wanted))


def changes_to_absent(aws: Access, wanted: Wanted, force: bool) -> list[Change]:
    """Return what has to be deleted, in the order in which it is to be done; nothing that setup has not made.

    :param force: delete the bucket also when there are revisions in it.
    :raises AwsError: the bucket is not empty, and that was not asked for.
    """
    return _collect(_absent(aws, wanted, force))


def make_changes(changes: list[Change]) -> None:
    """Make changes one after the other.

    :raises AwsError: one was refused; those before it are made, and the next run makes the rest.
    """
    for change in changes:
        with aws_errors():
            change.make()


def _present(aws: Access, wanted: Wanted) -> Iterator[Change]:
    yield from bucket_changes(aws, wanted)
    yield from topic_changes(aws, wanted)
    yield from policy_changes(aws, wanted)
    yield from role_changes(aws, wanted)
    yield from profile_changes(aws, wanted)


def _absent(aws: Access, wanted: Wanted, force: bool) -> Iterator[Change]:
    # First what may refuse, last what somebody else might still use.
    yield from bucket_removal(aws, wanted, force)
    yield from topic_removal(aws, wanted)
    yield from identity_removal(aws, wanted)


def _collect(changes: Iterator[Change]) -> list[Change]:
    with aws_errors():
        return list(changes)
