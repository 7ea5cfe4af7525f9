# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The SNS topic that deployments are told to."""

from __future__ import annotations

import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import (
    Access,
    Change,
    Wanted,
    found,
    is_ours,
)


def topic_changes(aws: Access, wanted: Wanted) -> t.Iterator[Change]:
    """Return what has to be changed until the topic is there."""
    arn = wanted.topic_arn
    if arn is None or _exists(aws, arn):
        return
    yield Change(
        f"topic {wanted.topic}",
        "create",
        lambda: aws["sns"].create_topic(Name=wanted.topic, Tags=wanted.tag_list),
        None,
        {"topic": arn},
    )


def topic_removal(aws: Access, wanted: Wanted) -> t.Iterator[Change]:
    """Return what has to be done until the topic is gone."""
    arn = wanted.topic_arn
    if arn is None or not _exists(aws, arn):
        return
    if is_ours(aws["sns"].list_tags_for_resource(ResourceArn=arn).get("Tags"), wanted):
        yield Change(f"topic {wanted.topic}", "delete", lambda: aws["sns"].delete_topic(TopicArn=arn), {"topic": arn})


def _exists(aws: Access, arn: str) -> bool:
    return found(lambda: aws["sns"].get_topic_attributes(TopicArn=arn), "NotFound") is not None
