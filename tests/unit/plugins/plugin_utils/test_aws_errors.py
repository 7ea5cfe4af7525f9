# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error of AWS that a user can cause, and the sentence that it gives."""

from __future__ import annotations

import http.server
import os
import socket
import threading

import pytest

from ansible_collections.agentless.codedeploy.plugins.plugin_utils import _aws
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import (
    AwsError,
    AwsSettings,
    aws_errors,
    client,
)

ONE_ATTEMPT = {"retries": {"mode": "standard", "total_max_attempts": 1}}
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef"


@pytest.fixture
def ask(aws_server):
    """Give ``ask(service, operation, parameters, **options)``, which returns the error as (code, sentence)."""

    def call(service, operation, parameters=None, **options):
        settings = AwsSettings.from_arguments({**aws_server.arguments, "aws_config": ONE_ATTEMPT, **options})
        with pytest.raises(AwsError) as caught, aws_errors():
            getattr(client(settings, service), operation)(**(parameters or {}))
        return caught.value.code, caught.value.message

    return call


def no_keys(monkeypatch, **variables):
    _aws._session.cache_clear()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    files = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    for name, value in {**files, "AWS_EC2_METADATA_DISABLED": "true", **variables}.items():
        monkeypatch.setenv(name, value)


def error_of_client(service="ec2", **arguments):
    with pytest.raises(AwsError) as caught:
        client(AwsSettings.from_arguments(arguments), service)
    return caught.value.message


def test_no_credentials(monkeypatch):
    no_keys(monkeypatch)
    assert error_of_client(region="us-east-1") == (
        "there are no AWS credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the options "
        "profile or access_key and secret_key"
    )


def test_no_region(monkeypatch):
    no_keys(monkeypatch)
    assert error_of_client(access_key="one", secret_key="two") == (
        "You must specify a region; set the option region or AWS_REGION, for example us-east-1"
    )


def test_region_that_cannot_be(monkeypatch):
    no_keys(monkeypatch)
    message = error_of_client(access_key="one", secret_key="two", region="us east 1")
    assert "us east 1" in message and message.endswith("set the option region or AWS_REGION, for example us-east-1")


def test_no_such_profile(monkeypatch):
    no_keys(monkeypatch)
    message = error_of_client(profile="mine", region="us-east-1")
    assert "mine" in message and message.endswith("check the option profile or AWS_PROFILE, and ~/.aws/config")


def test_half_of_the_credentials(monkeypatch):
    no_keys(monkeypatch, AWS_ACCESS_KEY_ID="one")
    assert error_of_client(region="us-east-1").startswith("the AWS credentials are incomplete: ")


def test_missing_bucket(ask):
    code, message = ask("s3", "get_object", {"Bucket": "hollowweb", "Key": "web.zip"})
    assert code == "NoSuchBucket"
    assert message.startswith("s3:GetObject of s3://hollowweb/web.zip in us-east-1: this bucket does not exist")
    assert message.endswith("; check its name, the region and the account")
    code, message = ask("s3", "head_bucket", {"Bucket": "hollowweb"})
    assert message.startswith("s3:HeadBucket of s3://hollowweb in us-east-1: it does not exist")


def test_missing_object(ask, aws_server):
    aws_server.client("s3").create_bucket(Bucket="hollowweb")
    _code, message = ask("s3", "get_object", {"Bucket": "hollowweb", "Key": "web.zip"})
    assert message.startswith("s3:GetObject of s3://hollowweb/web.zip in us-east-1: this object does not exist")


def test_missing_target_group(ask):
    code, message = ask("elbv2", "describe_target_health", {"TargetGroupArn": ARN})
    assert code == "TargetGroupNotFound"
    assert message.startswith(
        f"elasticloadbalancing:DescribeTargetHealth of {ARN} in us-east-1: this target group does not exist"
    )


def test_missing_classic_load_balancer(ask):
    code, message = ask("elb", "describe_instance_health", {"LoadBalancerName": "web"})
    assert "this load balancer does not exist" in message, code


def test_missing_permission_for_real(ask, aws_server):
    iam = aws_server.client("iam")
    iam.create_user(UserName="deployer")
    keys = iam.create_access_key(UserName="deployer")["AccessKey"]
    aws_server.enforce_permissions()
    own = {"access_key": keys["AccessKeyId"], "secret_key": keys["SecretAccessKey"]}
    _code, message = ask("ec2", "describe_instances", **own)
    assert message.startswith("ec2:DescribeInstances in us-east-1 is not permitted (AWS: ")
    assert message.endswith("; allow ec2:DescribeInstances for these credentials")


def test_a_permission_is_named_as_iam_does(ask, aws_server):
    aws_server.fail("HEAD", "403", status=403)
    _code, message = ask("s3", "head_object", {"Bucket": "hollowweb", "Key": "web.zip"})
    assert message.endswith("; allow s3:GetObject for these credentials")
    aws_server.fail("DescribeAlarms", "AccessDenied", status=403)
    _code, message = ask("cloudwatch", "describe_alarms", {"AlarmNames": ["errors"]})
    assert message.startswith("cloudwatch:DescribeAlarms of errors in us-east-1 is not permitted")


def test_aws_names_another_permission_that_is_missing(ask, aws_server):
    said = "User: ada is not authorized to perform: kms:Decrypt on resource: key/1 because no policy allows it"
    aws_server.fail("GET", "AccessDenied", said, status=403)
    _code, message = ask("s3", "get_object", {"Bucket": "hollowweb", "Key": "web.zip"})
    assert message.endswith("; allow kms:Decrypt for these credentials")
    said = "You are not authorized to perform this operation. Encoded authorization failure message: GFBxzaA"
    aws_server.fail("DescribeInstances", "UnauthorizedOperation", said, status=403)
    _code, message = ask("ec2", "describe_instances")
    assert message == (
        "ec2:DescribeInstances in us-east-1 is not permitted (AWS: You are not authorized to perform this operation); "
        "allow ec2:DescribeInstances for these credentials"
    )


def test_a_refusal_without_a_reason(ask, aws_server):
    aws_server.fail("HEAD", "400", status=400)
    _code, message = ask("s3", "head_object", {"Bucket": "hollowweb", "Key": "web.zip"})
    assert "was refused without a reason; most likely the credentials have expired" in message


def test_keys_that_aws_does_not_know(ask, aws_server):
    aws_server.enforce_permissions()
    _code, message = ask("ec2", "describe_instances")
    assert "AWS does not accept these credentials" in message
    assert message.endswith("; check the access key, secret key or profile")


@pytest.mark.parametrize(
    ("code", "status", "sentence"),
    [
        ("ExpiredToken", 400, "the credentials have expired; get new ones"),
        ("RequestTimeTooSkewed", 403, "this machine's clock is wrong"),
        ("Throttling", 400, "was throttled, 1 attempts in all; run again later, with fewer --forks"),
        ("OptInRequired", 403, "set region to where it is"),
        ("InternalFailure", 500, "AWS answered 500 InternalFailure to each of 1 attempts"),
        ("ValidationError", 400, "failed (AWS: so it is)"),
    ],
)
def test_answers_of_aws(ask, aws_server, code, status, sentence):
    aws_server.fail("DescribeAutoScalingGroups", code, "so it is", status=status)
    found, message = ask("autoscaling", "describe_auto_scaling_groups", {"AutoScalingGroupNames": ["web"]})
    assert found == code
    assert message.startswith("autoscaling:DescribeAutoScalingGroups of web in us-east-1")
    assert sentence in message


def test_a_bucket_of_another_region(ask, aws_server):
    aws_server.fail("GET", "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong", status=400)
    _code, message = ask("s3", "get_object", {"Bucket": "hollowweb", "Key": "web.zip"})
    assert "it is not in this region, or the region is not enabled (AWS: the region 'us-east-1' is wrong)" in message


def test_attempts_are_counted(ask, aws_server):
    aws_server.fail("DescribeInstances", "RequestLimitExceeded", status=503)
    retries = {"retries": {"mode": "standard", "total_max_attempts": 2}}
    _code, message = ask("ec2", "describe_instances", aws_config=retries)
    assert "was throttled, 2 attempts in all" in message
    assert aws_server.actions().count("ec2:DescribeInstances") == 2


def test_a_failure_that_passes_is_retried(aws_server):
    aws_server.fail("DescribeInstances", "RequestLimitExceeded", status=503, times=1)
    with aws_errors():
        found = client(AwsSettings.from_arguments(aws_server.arguments), "ec2").describe_instances()
    assert found["Reservations"] == []


def test_endpoint_that_nobody_answers(ask):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        _code, message = ask("ec2", "describe_instances", endpoint_url=url)
    assert message.startswith(f"ec2:DescribeInstances in us-east-1: {url}")
    assert message.endswith("cannot be reached; check region, endpoint_url, and this machine's network and proxy")


def test_connection_that_breaks_off(ask):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up():
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        _code, message = ask("ec2", "describe_instances", endpoint_url=url)
        thread.join()
    assert f"the connection to {url}" in message and message.endswith("; run again")


def test_an_endpoint_that_is_no_aws(ask):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Please log in<br></html>")

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        _code, message = ask("ec2", "describe_instances", endpoint_url=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()
    assert "does not answer as AWS does; check endpoint_url, and this machine's proxy" in message


def test_a_role_that_may_not_be_assumed(ask, aws_server):
    aws_server.fail("AssumeRole", "AccessDenied", status=403)
    role = "arn:aws:iam::222222222222:role/deploy"
    _code, message = ask("ec2", "describe_instances", assume_role_arn=role)
    assert message.startswith(f"sts:AssumeRole of {role} in us-east-1 is not permitted")


def test_uploads_that_fail_say_why(ask, tmp_path):
    (tmp_path / "web.zip").write_bytes(b"web")
    parameters = {"Filename": str(tmp_path / "web.zip"), "Bucket": "hollowweb", "Key": "web.zip"}
    _code, message = ask("s3", "upload_file", parameters)
    assert message.startswith("s3:PutObject of s3://hollowweb/web.zip in us-east-1: this bucket does not exist")


def test_other_errors_stay_as_they_are():
    with pytest.raises(ZeroDivisionError), aws_errors():
        print(1 / 0)
