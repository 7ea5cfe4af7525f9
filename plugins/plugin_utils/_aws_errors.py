# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors of AWS in one sentence each: which call, on what, in which region, and what to do about it."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError

# Parameters that name what a call is about, the most telling first.
RESOURCES = (
    "TargetGroupArn",
    "LoadBalancerName",
    "AutoScalingGroupName",
    "TopicArn",
    "RoleArn",
    "RoleName",
    "PolicyArn",
    "PolicySourceArn",
    "InstanceProfileName",
    "AlarmNames",
    "AutoScalingGroupNames",
    "LoadBalancerNames",
    "Names",
    "TargetGroupArns",
    "InstanceIds",
    "Name",
)
# Where IAM's name of an action is not the call's own.
ACTIONS = {
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:CopyObject": "s3:PutObject",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
}
PREFIXES = {"monitoring": "cloudwatch"}

DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "Forbidden", "403"}
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
UNKNOWN_KEYS = {
    "AuthFailure",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
SKEWED = {"RequestTimeTooSkewed", "RequestInTheFuture"}
THROTTLED = {
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "Throttled",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
ELSEWHERE = {
    "301",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "OptInRequired",
}
ABSENT = {
    "404": "it",
    "LoadBalancerNotFound": "this load balancer",
    "AccessPointNotFound": "this load balancer",
    "NoSuchBucket": "this bucket",
    "NoSuchEntity": "it",
    "NoSuchKey": "this object",
    "NoSuchVersion": "this version of the object",
    "NotFound": "it",
    "NotFoundException": "it",
    "ResourceNotFound": "it",
    "ResourceNotFoundException": "it",
    "TargetGroupNotFound": "this target group",
    "InvalidInstanceID.NotFound": "this instance",
    "InvalidInstance": "this instance",
    "InvalidTarget": "this instance",
}
NAMED_ACTION = re.compile(r"not authorized to perform: ([a-z0-9-]+:\w+)")
NEW_KEYS = "get new ones (aws sso login, or a new session token) and run again"


class AwsError(CodeDeployError):
    """AWS refused or did not answer, or could not be asked; C(code) is AWS's own where it gave one."""

    code = "AwsError"


@dataclass(frozen=True)
class Call:
    """A call of the API: its IAM action, what it is about and where it went."""

    action: str
    resource: str
    region: str
    endpoint: str
    identity: str = ""

    def __str__(self) -> str:
        subject = f" of {self.resource}" if self.resource else ""
        return f"{self.action}{subject} in {self.region}"


# The last call of each operation. An error says its operation's name, and neither the region nor the parameters.
_calls: dict[str, Call] = {}


def note_calls(client: Any) -> None:
    """Have a client's calls remembered for the sentences of :func:`aws_errors`."""
    prefix = PREFIXES.get(client.meta.service_model.signing_name, client.meta.service_model.signing_name)
    region, endpoint = client.meta.region_name, client.meta.endpoint_url

    def note(params: Mapping[str, Any], model: Any, **_kwargs: Any) -> None:
        _calls[""] = _calls[model.name] = Call(f"{prefix}:{model.name}", _resource(params), region, endpoint)

    client.meta.events.register("provide-client-params", note)


def _resource(parameters: Mapping[str, Any]) -> str:
    if "Bucket" in parameters:
        key = parameters.get("Key") or ""
        return f"s3://{parameters['Bucket']}/{key}".rstrip("/")
    value = next((parameters[name] for name in RESOURCES if parameters.get(name)), "")
    values = [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]
    return ", ".join(values[:3]) + (f" and {len(values) - 3} more" if len(values) > 3 else "")


@contextlib.contextmanager
def aws_errors() -> Iterator[None]:
    """Turn what boto3 raises inside the block into :class:`AwsError` with a sentence for people."""
    try:
        yield
    except Exception as error:
        # Whoever could raise boto3's errors has imported it; nobody else has to.
        translated = translate(error) if "botocore" in sys.modules else None
        if translated is None:
            raise
        raise translated from error


def translate(error: Exception) -> AwsError | None:
    """Return the error in one sentence, or None when it is none of boto3's."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, WaiterError
    from botocore.parsers import ResponseParserError

    if isinstance(error, WaiterError):
        return AwsError(f"{_call('')}: {error}", "WaiterError")
    if isinstance(error, ClientError):
        return _refused(error.operation_name or "", error.response)
    if isinstance(error, (BotoCoreError, HTTPClientError)):
        return _not_asked(error)
    if isinstance(error, ResponseParserError):
        call = _call("")
        text = f"{call}: {call.endpoint} does not answer as AWS does; check endpoint_url, and this machine's proxy"
        return AwsError(text, "InvalidResponse")
    if type(error).__module__.startswith(("boto3.", "s3transfer.")):
        cause = error.__cause__ or error.__context__
        inner = translate(cause) if isinstance(cause, Exception) and cause is not error else None
        return inner or AwsError(f"{_call('')}: {error}", type(error).__name__)
    return None


def _call(operation: str) -> Call:
    return _calls.get(operation) or Call(operation or "a call of AWS", "", "an unknown region", "")


def iam_action(call: str) -> str:
    """Return IAM's name of the action that a call such as V(s3:HeadObject) needs."""
    return ACTIONS.get(call, call)


def _refused(operation: str, response: Mapping[str, Any]) -> AwsError:
    """Return the sentence for an answer of AWS that is an error."""
    answer = response.get("Error") or {}
    code = str(answer.get("Code") or "Unknown")
    # What EC2 adds in a secret writing fills a screen and says nothing to a person.
    said = str(answer.get("Message") or "").partition("Encoded authorization failure message")[0].strip().rstrip(".")
    status = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0
    attempts = int((response.get("ResponseMetadata") or {}).get("RetryAttempts") or 0) + 1
    call = _call(operation)
    quoted = f" (AWS: {said})" if said else ""
    if code in EXPIRED:
        text = f"{call}: the credentials have expired; {NEW_KEYS}"
    elif code in DENIED:
        # AWS knows better which one is missing, that of another service (kms:Decrypt) for example.
        named = NAMED_ACTION.search(said)
        action = named.group(1) if named else iam_action(call.action)
        text = f"{call} is not permitted{quoted}; allow {action} for these credentials"
    elif code == "400":
        # The answer to a HEAD has no body, and so no reason.
        text = f"{call} was refused without a reason; most likely the credentials have expired: {NEW_KEYS}"
    elif code in UNKNOWN_KEYS:
        text = f"{call}: AWS does not accept these credentials{quoted}; check the access key, secret key or profile"
    elif code in SKEWED:
        text = f"{call}: this machine's clock is wrong{quoted}; set it and run again"
    elif code in THROTTLED:
        text = (
            f"{call} was throttled, {attempts} attempts in all; run again later, with fewer --forks, or with more "
            "attempts: aws_config.retries"
        )
    elif code in ELSEWHERE:
        text = f"{call}: it is not in this region, or the region is not enabled{quoted}; set region to where it is"
    elif code in ABSENT or code.endswith((".NotFound", "NotFoundException")):
        text = f"{call}: {ABSENT.get(code, 'it')} does not exist{quoted}; check its name, the region and the account"
    elif status >= 500:
        text = f"{call}: AWS answered {status} {code} to each of {attempts} attempts{quoted}; run again later"
    else:
        text = f"{call} failed{quoted or ': ' + code}"
    return AwsError(text, code)


def _not_asked(error: Exception) -> AwsError:
    """Return the sentence for an error before or instead of an answer of AWS."""
    import botocore.exceptions as boto

    # Classes that not every supported botocore has would be looked up by name.
    name, call = type(error).__name__, _call("")
    where = (getattr(error, "kwargs", None) or {}).get("endpoint_url") or call.endpoint
    if isinstance(error, boto.NoCredentialsError):
        text = (
            "there are no AWS credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the "
            "options profile or access_key and secret_key"
        )
    elif isinstance(error, boto.PartialCredentialsError):
        text = f"the AWS credentials are incomplete: {error}"
    elif isinstance(error, boto.ProfileNotFound):
        text = f"{error}; check the option profile or AWS_PROFILE, and ~/.aws/config"
    elif isinstance(error, (boto.NoRegionError, boto.InvalidRegionError)):
        text = f"{str(error).rstrip('.')}; set the option region or AWS_REGION, for example us-east-1"
    elif name in ("UnauthorizedSSOTokenError", "SSOTokenLoadError", "TokenRetrievalError"):
        text = f"the credentials have expired: {error}; {NEW_KEYS}"
    elif isinstance(error, (boto.ConnectTimeoutError, boto.EndpointConnectionError, boto.ProxyConnectionError)):
        text = f"{call}: {where} cannot be reached; check region, endpoint_url, and this machine's network and proxy"
    elif isinstance(error, boto.SSLError):
        text = f"{call}: the certificate of {where} is not accepted; set aws_ca_bundle to the file of its authority"
    elif isinstance(error, (boto.HTTPClientError, boto.IncompleteReadError)):
        text = f"{call}: the connection to {where} broke off ({name}); run again"
    else:
        text = f"{call}: {' '.join(str(error).split())}"
    return AwsError(text, name.removesuffix("Error"))
