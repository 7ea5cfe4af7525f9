# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting AWS up and removing it again, in moto: what is there afterwards, twice, and what is left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.aws_server import AwsServer

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsError, AwsSettings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_calls import CALLS
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup import (
    changes_to_absent,
    changes_to_present,
    make_changes,
    wanted_setup,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import Access, Wanted
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput

ACCOUNT = "123456789012"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/HollowWeb-codedeploy-controller"
GIVEN: dict[str, Any] = {
    "application_name": "HollowWeb",
    "bucket": "hollowweb-revisions",
    "policy": None,
    "role": None,
    "trusted_principals": None,
    "instance_profile": "hollowweb-instances",
    "topic": "hollowweb-deployments",
    "event_bus": None,
    "features": None,
    "target_groups": None,
    "auto_scaling_groups": None,
    "tags": {"Team": "web"},
}


class Account:
    """An account, and what setup does there."""

    def __init__(self, server: AwsServer, region: str = "us-east-1") -> None:
        self.server = server
        self.aws = Access(AwsSettings.from_arguments({**server.arguments, "region": region}))

    def wanted(self, **given: Any) -> Wanted:
        """What is to be set up."""
        return wanted_setup(self.aws, {**GIVEN, **given})

    def set_up(self, **given: Any) -> list[str]:
        """Set it up; returns what was changed."""
        changes = changes_to_present(self.aws, self.wanted(**given))
        make_changes(changes)
        return [str(change) for change in changes]

    def remove(self, force: bool = False, **given: Any) -> list[str]:
        """Remove it; returns what was changed."""
        changes = changes_to_absent(self.aws, self.wanted(**given), force)
        make_changes(changes)
        return [str(change) for change in changes]

    def policy(self) -> dict[str, Any]:
        """The controller's policy as IAM has it."""
        iam = self.server.client("iam")
        version = iam.get_policy(PolicyArn=POLICY)["Policy"]["DefaultVersionId"]
        return dict(iam.get_policy_version(PolicyArn=POLICY, VersionId=version)["PolicyVersion"]["Document"])


@pytest.fixture
def account(aws_server: AwsServer) -> Account:
    """Give an empty account."""
    return Account(aws_server)


def allowed(policy: dict[str, Any]) -> dict[str, list[str]]:
    """What each action is allowed on."""
    return {action: one["Resource"] for one in policy["Statement"] for action in one["Action"]}


def test_bucket_is_versioned_private_encrypted_and_for_tls_alone(account: Account) -> None:
    account.set_up()
    s3, bucket = account.server.client("s3"), "hollowweb-revisions"
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    assert tags == {"agentless.codedeploy": "HollowWeb", "Team": "web"}


def test_bucket_refuses_what_comes_without_tls(account: Account) -> None:
    from botocore.exceptions import ClientError

    account.set_up()
    s3 = account.server.client("s3")
    s3.put_object(Bucket="hollowweb-revisions", Key="hollowweb.zip", Body=b"0")
    account.server.control(behind_tls=False)
    with pytest.raises(ClientError, match="Forbidden"):
        s3.put_object(Bucket="hollowweb-revisions", Key="hollowweb.zip", Body=b"1")


def test_bucket_is_made_in_the_region_of_the_settings(aws_server: AwsServer) -> None:
    Account(aws_server, "eu-central-1").set_up()
    place = aws_server.client("s3").get_bucket_location(Bucket="hollowweb-revisions")
    assert place["LocationConstraint"] == "eu-central-1"


def test_second_time_changes_nothing(account: Account) -> None:
    assert len(account.set_up()) == 13
    assert account.set_up() == []


def test_what_was_changed_by_others_is_corrected(account: Account) -> None:
    account.set_up()
    s3, iam = account.server.client("s3"), account.server.client("iam")
    s3.put_bucket_versioning(Bucket="hollowweb-revisions", VersioningConfiguration={"Status": "Suspended"})
    mine = {"Sid": "Mine", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": "*"}
    s3.put_bucket_policy(
        Bucket="hollowweb-revisions", Policy=json.dumps({"Version": "2012-10-17", "Statement": [mine]})
    )
    iam.detach_role_policy(RoleName="HollowWeb-codedeploy-controller", PolicyArn=POLICY)
    assert account.set_up() == [
        "bucket hollowweb-revisions: keep versions of its objects",
        "bucket hollowweb-revisions: refuse requests without TLS",
        "role HollowWeb-codedeploy-controller: attach policy HollowWeb-codedeploy-controller",
    ]
    statements = json.loads(s3.get_bucket_policy(Bucket="hollowweb-revisions")["Policy"])["Statement"]
    assert [statement["Sid"] for statement in statements] == ["Mine", "RefuseWithoutTLS"]


def test_what_is_asked_for_is_told_without_a_change(account: Account) -> None:
    changes = changes_to_present(account.aws, account.wanted())
    assert str(changes[0]) == "bucket hollowweb-revisions: create in us-east-1"
    assert account.server.client("s3").list_buckets()["Buckets"] == []
    differences = [change.diff() for change in changes]
    assert any("aws:SecureTransport" in difference["after"] for difference in differences)
    assert any("sns:Publish" in difference["after"] for difference in differences)


def test_policy_allows_what_is_called_on_its_own_resources(account: Account) -> None:
    account.set_up(target_groups=["hollowweb"], auto_scaling_groups=["web"], event_bus="default")
    actions = allowed(account.policy())
    bucket, region = "arn:aws:s3:::hollowweb-revisions", f"us-east-1:{ACCOUNT}"
    assert actions["s3:PutObject"] == actions["s3:GetObjectVersion"] == [f"{bucket}/*"]
    assert actions["s3:ListBucket"] == [bucket]
    assert actions["sns:Publish"] == [f"arn:aws:sns:{region}:hollowweb-deployments"]
    assert actions["events:PutEvents"] == [f"arn:aws:events:{region}:event-bus/default"]
    assert actions["elasticloadbalancing:RegisterTargets"] == [
        f"arn:aws:elasticloadbalancing:{region}:targetgroup/hollowweb/*"
    ]
    assert actions["autoscaling:SuspendProcesses"] == [
        f"arn:aws:autoscaling:{region}:autoScalingGroup:*:autoScalingGroupName/web"
    ]
    assert actions["ec2:DescribeInstances"] == ["*"]
    on_everything = [action for action, resources in actions.items() if resources == ["*"]]
    assert all(action.partition(":")[2].startswith("Describe") for action in on_everything)


def test_policy_is_as_small_as_the_features(account: Account) -> None:
    account.set_up(features=["push"], topic=None)
    assert {action.partition(":")[0] for action in allowed(account.policy())} == {"s3"}
    assert account.set_up(features=["push", "alarms"], topic=None) == [
        "policy HollowWeb-codedeploy-controller: change what it allows"
    ]
    assert "cloudwatch:DescribeAlarms" in allowed(account.policy())


def test_policy_can_be_changed_again_and_again(account: Account) -> None:
    # IAM keeps five versions at most.
    for feature in [*CALLS][:7]:
        assert account.set_up(features=[feature], topic=None)
    versions = account.server.client("iam").list_policy_versions(PolicyArn=POLICY)["Versions"]
    assert len(versions) == 5


def test_role_is_trusted_to_whom_it_should_be(account: Account) -> None:
    account.set_up()
    runner = f"arn:aws:iam::{ACCOUNT}:user/runner"
    assert account.set_up(trusted_principals=[runner]) == [
        "role HollowWeb-codedeploy-controller: change who may assume it"
    ]
    role = account.server.client("iam").get_role(RoleName="HollowWeb-codedeploy-controller")["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"AWS": [runner]}


def test_instances_may_read_the_revisions_and_nothing_else(account: Account) -> None:
    account.set_up()
    iam = account.server.client("iam")
    policy = iam.get_role_policy(RoleName="hollowweb-instances", PolicyName="read-revisions")["PolicyDocument"]
    assert set(allowed(policy)) == {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"}
    profile = iam.get_instance_profile(InstanceProfileName="hollowweb-instances")["InstanceProfile"]
    assert [role["RoleName"] for role in profile["Roles"]] == ["hollowweb-instances"]


def test_removed_is_what_was_set_up(account: Account) -> None:
    account.set_up()
    assert len(account.remove()) == 6
    assert account.remove() == []
    iam, sns = account.server.client("iam"), account.server.client("sns")
    assert account.server.client("s3").list_buckets()["Buckets"] == []
    assert iam.list_roles()["Roles"] == iam.list_policies(Scope="Local")["Policies"] == []
    assert iam.list_instance_profiles()["InstanceProfiles"] == sns.list_topics()["Topics"] == []


def test_bucket_with_revisions_is_not_removed_unasked(account: Account) -> None:
    account.set_up()
    s3 = account.server.client("s3")
    for content in (b"0", b"1"):
        s3.put_object(Bucket="hollowweb-revisions", Key="hollowweb.zip", Body=content)
    s3.delete_object(Bucket="hollowweb-revisions", Key="hollowweb.zip")
    with pytest.raises(AwsError, match="is not empty; nothing was deleted"):
        account.remove()
    assert account.set_up() == []
    assert "bucket hollowweb-revisions: delete all that is in it" in account.remove(force=True)
    assert s3.list_buckets()["Buckets"] == []


def test_what_others_have_made_is_not_removed(account: Account) -> None:
    s3, sns = account.server.client("s3"), account.server.client("sns")
    s3.create_bucket(Bucket="hollowweb-revisions")
    sns.create_topic(Name="hollowweb-deployments")
    account.set_up()
    removed = account.remove(force=True)
    assert not [text for text in removed if text.startswith(("bucket", "topic"))]
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["hollowweb-revisions"]
    assert len(sns.list_topics()["Topics"]) == 1


def test_unknown_feature_is_refused(account: Account) -> None:
    with pytest.raises(InvalidInput, match="features: magic: the features are inventory, push"):
        account.wanted(features=["magic"])


def test_missing_permission_is_named(account: Account) -> None:
    account.server.fail("CreatePolicy", "AccessDenied", "no", status=403)
    with pytest.raises(AwsError, match="allow iam:CreatePolicy"):
        account.set_up()
