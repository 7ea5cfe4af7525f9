# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of calls that policies are made of: what the server sees, what the code has, and what IAM calls it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.aws_calls import listed, operation
from support.aws_server import AwsServer

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings, client
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_calls import CALLS, FURTHER_ACTIONS, REPLACED
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_errors import PREFIXES, iam_action
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_policy import actions_of

# boto3 makes these by itself where the code says "upload".
OF_UPLOADS = {"AbortMultipartUpload", "CompleteMultipartUpload", "CreateMultipartUpload", "PutObject", "UploadPart"}


@pytest.mark.parametrize(
    ("request_of_s3", "name"),
    [
        (("GET /",), "ListBuckets"),
        (("PUT /bucket",), "CreateBucket"),
        (("GET /bucket", "list-type", "prefix"), "ListObjectsV2"),
        (("GET /bucket", "versions"), "ListObjectVersions"),
        (("PUT /bucket", "versioning"), "PutBucketVersioning"),
        (("HEAD /bucket/a/b.zip", "versionId"), "HeadObject"),
        (("GET /bucket/a/b.zip", "X-Amz-Signature"), "GetObject"),
        (("PUT /bucket/a/b.zip",), "PutObject"),
        (("POST /bucket/a/b.zip", "uploads"), "CreateMultipartUpload"),
        (("PUT /bucket/a/b.zip", "partNumber", "uploadId"), "UploadPart"),
        (("POST /bucket/a/b.zip", "uploadId"), "CompleteMultipartUpload"),
        (("DELETE /bucket/a/b.zip", "uploadId"), "AbortMultipartUpload"),
    ],
)
def test_request_of_s3_is_recognized(request_of_s3: tuple[str, ...], name: str) -> None:
    assert operation("s3", *request_of_s3) == f"s3:{name}"


def test_calls_of_the_collection_are_told_from_those_of_a_test(aws_server: AwsServer) -> None:
    aws_server.client("cloudwatch").describe_alarms()
    assert aws_server.product_calls() == set()
    client(AwsSettings.from_arguments(aws_server.arguments), "cloudwatch").describe_alarms()
    assert aws_server.product_calls() == {"cloudwatch:DescribeAlarms"}


def test_call_is_one_of_the_api() -> None:
    import botocore.session

    session = botocore.session.get_session()
    names = {"elasticloadbalancing": ("elb", "elbv2")} | {prefix: (prefix,) for prefix in PREFIXES.values()}
    unknown = []
    for call in sorted(listed()):
        service, _colon, name = call.partition(":")
        models = [session.get_service_model(one) for one in names.get(service, (service,))]
        if not any(name in model.operation_names for model in models):
            unknown.append(call)
    assert unknown == []


def test_call_that_is_listed_is_made_somewhere(checkout: Path) -> None:
    from botocore import xform_name

    code = "".join(path.read_text() for path in (checkout / "plugins").rglob("*.py") if path.name != "_aws_calls.py")
    names = {call: call.partition(":")[2] for call in listed()}
    unused = [call for call, name in names.items() if name not in OF_UPLOADS and xform_name(name) not in code]
    assert unused == []


def test_what_iam_calls_it() -> None:
    assert actions_of(["s3:HeadObject"]) == ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"]
    assert actions_of(["s3:UploadPart", "s3:CreateMultipartUpload"]) == ["s3:PutObject"]
    assert actions_of(["s3:DeleteObjects"]) == ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    assert actions_of(["sts:GetCallerIdentity"]) == []
    assert {*REPLACED, *FURTHER_ACTIONS} <= listed()
    assert iam_action("cloudwatch:DescribeAlarms") in actions_of(CALLS["alarms"])
