# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bucket of the revisions: versioned, private, encrypted, reached over TLS alone."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import (
    Access,
    Change,
    Wanted,
    found,
    is_ours,
)

TLS_ONLY = "RefuseWithoutTLS"
PRIVATE = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
ENCRYPTED = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
KEYS_A_CALL = 1000


def bucket_changes(aws: Access, wanted: Wanted) -> t.Iterator[Change]:
    """Return what has to be changed until the bucket is there and as it should be.

    :raises AwsError: the name belongs to somebody else.
    """
    s3, name, resource = aws["s3"], wanted.bucket, f"bucket {wanted.bucket}"
    exists = bucket_exists(aws, wanted)
    if not exists:
        yield Change(resource, f"create in {wanted.region}", lambda: _create(s3, wanted), None, {"bucket": name})
    versioning = s3.get_bucket_versioning(Bucket=name).get("Status") if exists else None
    if versioning != "Enabled":
        yield Change(
            resource,
            "keep versions of its objects",
            lambda: s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"}),
            versioning,
            "Enabled",
        )
    block = exists and found(lambda: s3.get_public_access_block(Bucket=name), "NoSuchPublicAccessBlockConfiguration")
    block = block["PublicAccessBlockConfiguration"] if block else None
    if block != PRIVATE:
        yield Change(
            resource,
            "refuse public access",
            lambda: s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=PRIVATE),
            block,
            PRIVATE,
        )
    if (
        not exists
        or found(lambda: s3.get_bucket_encryption(Bucket=name), "ServerSideEncryptionConfigurationNotFoundError")
        is None
    ):
        yield Change(
            resource,
            "encrypt its objects",
            lambda: s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=ENCRYPTED),
            None,
            ENCRYPTED,
        )
    yield from _policy_change(s3, wanted, exists)


def _policy_change(s3: t.Any, wanted: Wanted, exists: bool) -> t.Iterator[Change]:
    answer = found(lambda: s3.get_bucket_policy(Bucket=wanted.bucket), "NoSuchBucketPolicy") if exists else None
    before = json.loads(answer["Policy"]) if answer else None
    statement = {
        "Sid": TLS_ONLY,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [wanted.bucket_arn, f"{wanted.bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    statements = before["Statement"] if before else []
    if statement in statements:
        return
    # A policy that somebody else wrote keeps its own statements.
    others = [other for other in statements if other.get("Sid") != TLS_ONLY]
    after = {**(before or {"Version": "2012-10-17"}), "Statement": [*others, statement]}
    yield Change(
        f"bucket {wanted.bucket}",
        "refuse requests without TLS",
        lambda: s3.put_bucket_policy(Bucket=wanted.bucket, Policy=json.dumps(after)),
        before,
        after,
    )


def bucket_removal(aws: Access, wanted: Wanted, force: bool) -> t.Iterator[Change]:
    """Return what has to be done until the bucket is gone.

    :param force: also when there is something in it.
    :raises AwsError: it is not empty, and that was not asked for.
    """
    s3, name, resource = aws["s3"], wanted.bucket, f"bucket {wanted.bucket}"
    if not bucket_exists(aws, wanted):
        return
    tags = found(lambda: s3.get_bucket_tagging(Bucket=name), "NoSuchTagSet", "NoSuchTagSetError")
    if not is_ours(tags["TagSet"] if tags else None, wanted):
        return
    some = s3.list_object_versions(Bucket=name, MaxKeys=1)
    if some.get("Versions") or some.get("DeleteMarkers"):
        if not force:
            raise AwsError(
                f"bucket {name} is not empty; nothing was deleted. To delete it with all revisions in it: "
                "-e setup_force=true",
                "BucketNotEmpty",
            )
        yield Change(resource, "delete all that is in it", lambda: _empty(s3, name), "objects", "none")
    yield Change(resource, "delete", lambda: s3.delete_bucket(Bucket=name), {"bucket": name})


def bucket_exists(aws: Access, wanted: Wanted) -> bool:
    """Whether the bucket is there.

    :raises AwsError: it belongs to another account.
    """
    answer = found(lambda: aws["s3"].head_bucket(Bucket=wanted.bucket), "404", "NoSuchBucket")
    return answer is not None


def _create(s3: t.Any, wanted: Wanted) -> None:
    # The oldest region is the one that must not be named.
    place = {} if wanted.region == "us-east-1" else {"LocationConstraint": wanted.region}
    s3.create_bucket(Bucket=wanted.bucket, **({"CreateBucketConfiguration": place} if place else {}))
    s3.get_waiter("bucket_exists").wait(Bucket=wanted.bucket)
    s3.put_bucket_tagging(Bucket=wanted.bucket, Tagging={"TagSet": wanted.tag_list})


def _empty(s3: t.Any, name: str) -> None:
    for page in s3.get_paginator("list_object_versions").paginate(
        Bucket=name, PaginationConfig={"PageSize": KEYS_A_CALL}
    ):
        objects = [
            {"Key": version["Key"], "VersionId": version["VersionId"]}
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
        if objects:
            s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
