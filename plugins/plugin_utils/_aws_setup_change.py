# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What setting up AWS consists of: changes that can be told before they are made."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings, aws_errors, client

OWNER_TAG = "agentless.codedeploy"
"""What setup made bears this tag, with the application as its value; deleting touches nothing else."""


@dataclass(frozen=True)
class Change:
    """One change of something in AWS.

    :param resource: what is changed: C(bucket hollowweb-revisions).
    :param text: what is done: C(create).
    :param make: does it.
    :param before: a part that a difference is shown of, as it is now.
    :param after: the same as it will be.
    """

    resource: str
    text: str
    make: t.Callable[[], t.Any] = field(compare=False, repr=False)
    before: t.Any = None
    after: t.Any = None

    def __str__(self) -> str:
        return f"{self.resource}: {self.text}"

    def diff(self) -> dict[str, str]:
        """Return the change as Ansible shows differences."""
        return {"before_header": self.resource, "after_header": f"{self.resource}: {self.text}"} | {
            name: "" if value is None else json.dumps(value, indent=2, sort_keys=True) + "\n"
            for name, value in (("before", self.before), ("after", self.after or self.text))
        }


@dataclass(frozen=True)
class Wanted:
    """What is to be set up for one application; None: that part is left out.

    :param trusted_principals: ARNs of who may assume the controller's role.
    :param target_groups: names of the target groups that the controller may work on; empty: on all.
    :param auto_scaling_groups: the same of Auto Scaling groups.
    """

    application_name: str
    bucket: str
    region: str
    account: str
    partition: str
    policy: str
    role: str
    trusted_principals: list[str]
    instance_profile: str | None
    topic: str | None
    event_bus: str | None
    features: list[str]
    target_groups: list[str]
    auto_scaling_groups: list[str]
    tags: dict[str, str]

    @property
    def tag_list(self) -> list[dict[str, str]]:
        """The tags of what is made, as most of AWS's calls take them."""
        return [{"Key": key, "Value": value} for key, value in {**self.tags, OWNER_TAG: self.application_name}.items()]

    def iam_arn(self, resource: str) -> str:
        """Return the ARN of something of IAM, which is in no region."""
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    @property
    def bucket_arn(self) -> str:
        """The ARN of the bucket."""
        return f"arn:{self.partition}:s3:::{self.bucket}"

    @property
    def topic_arn(self) -> str | None:
        """The ARN of the topic."""
        return f"arn:{self.partition}:sns:{self.region}:{self.account}:{self.topic}" if self.topic else None


class Access:
    """Clients of the services, made when they are asked for."""

    def __init__(self, settings: AwsSettings) -> None:
        self._settings = settings
        self._clients: dict[str, t.Any] = {}

    def __getitem__(self, service: str) -> t.Any:
        if service not in self._clients:
            self._clients[service] = client(self._settings, service)
        return self._clients[service]


def found(call: t.Callable[[], t.Any], *codes: str) -> t.Any:
    """Return what a call answers, or None when the answer is one of these errors: it is not there.

    :raises AwsError: any other error.
    """
    from botocore.exceptions import ClientError

    with aws_errors():
        try:
            return call()
        except ClientError as error:
            if error.response["Error"]["Code"] in codes:
                return None
            raise


def is_ours(tags: t.Iterable[t.Mapping[str, str]] | None, wanted: Wanted) -> bool:
    """Whether tags say that setup made it, for this application."""
    return any(tag["Key"] == OWNER_TAG and tag["Value"] == wanted.application_name for tag in tags or [])
