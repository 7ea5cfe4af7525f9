# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access to AWS: the options that say how, and boto3's clients made from them. boto3 is imported only when one is."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_errors import (
    AwsError,
    aws_errors,
    note_calls,
)

__all__ = ["AWS_ARGUMENTS", "AwsError", "AwsSettings", "aws_errors", "client", "is_aws_needed", "remember_keys"]

# The first version that reads AWS_ENDPOINT_URL and is tested with; amazon.aws 10 asks for the same.
MINIMUM_BOTO3 = (1, 34, 0)
MOST_ATTEMPTS = 6
CONNECT_SECONDS = 10
USER_AGENT = "ansible-collection-agentless.codedeploy"
SESSION_NAME = "agentless-codedeploy"

# Names and aliases of amazon.aws. The environment is looked at in AwsSettings, below what a deployment's record says.
AWS_ARGUMENTS: dict[str, dict[str, Any]] = {
    "region": {"type": "str", "aliases": ["aws_region"]},
    "profile": {"type": "str", "aliases": ["aws_profile"]},
    "access_key": {"type": "str", "aliases": ["aws_access_key_id", "aws_access_key"], "no_log": False},
    "secret_key": {"type": "str", "aliases": ["aws_secret_access_key", "aws_secret_key"], "no_log": True},
    "session_token": {"type": "str", "aliases": ["aws_session_token"], "no_log": True},
    "assume_role_arn": {"type": "str", "aliases": ["iam_role_arn"]},
    "endpoint_url": {"type": "str", "aliases": ["aws_endpoint_url"]},
    "validate_certs": {"type": "bool"},
    "aws_ca_bundle": {"type": "path"},
    "aws_config": {"type": "dict"},
}
SECRET = ("access_key", "secret_key", "session_token")
IDENTITY = ("profile", *SECRET)
# What botocore does not read itself. The standard variables for keys and profile are left to it.
ENVIRONMENT = {
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "access_key": ("AWS_ACCESS_KEY",),
    "secret_key": ("AWS_SECRET_KEY",),
    "session_token": ("AWS_SECURITY_TOKEN",),
    "endpoint_url": ("AWS_URL",),
}
_given: dict[str, Any] = {}
# Settings of a deployment group that cannot be carried out without AWS.
NEEDS_AWS = ("auto_scaling_groups", "ec2_tag_filters", "ec2_tag_set", "alarm_configuration", "load_balancer_info")


@dataclass(frozen=True)
class AwsSettings:
    """How AWS is reached. None: not said, so that botocore finds it in its own files, or has a default."""

    region: str | None = None
    profile: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    assume_role_arn: str | None = None
    endpoint_url: str | None = None
    validate_certs: bool | None = None
    aws_ca_bundle: str | None = None
    # JSON, so that settings can be the key of a cache.
    aws_config: str | None = None

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any], below: Mapping[str, Any] | None = None) -> AwsSettings:
        """Put together options, what lies below them, and the environment below both.

        :param arguments: values of the options of C(AWS_ARGUMENTS), under their own names; None means not given. Other
            keys are ignored.
        :param below: the same, for example :attr:`public` as a deployment's record has it.
        :raises AwsError: when a profile is given together with keys, or a part of the keys is missing.
        """
        if arguments.get("profile") and any(arguments.get(name) for name in SECRET):
            raise AwsError("profile and access_key exclude each other; give one of them", "InvalidInput")
        below = below or {}
        if any(arguments.get(name) for name in IDENTITY):
            # Who says whose credentials to use says all of it.
            below = {name: value for name, value in below.items() if name not in IDENTITY}
        chosen = {
            name: arguments[name] if arguments.get(name) is not None else below.get(name) for name in AWS_ARGUMENTS
        }
        if chosen["profile"]:
            chosen.update(dict.fromkeys(SECRET))
        if bool(chosen["access_key"]) != bool(chosen["secret_key"]):
            raise AwsError("access_key and secret_key are given together or not at all", "InvalidInput")
        for name in ("region", "endpoint_url"):
            chosen[name] = chosen[name] or _from_environment(name)
        if not (chosen["profile"] or chosen["access_key"]):
            chosen.update(_given)
        if not (chosen["profile"] or chosen["access_key"] or os.environ.get("AWS_ACCESS_KEY_ID")):
            keys = {name: _from_environment(name) for name in SECRET}
            if keys["access_key"] and keys["secret_key"]:
                chosen.update(keys)
        if chosen["aws_config"] is not None:
            chosen["aws_config"] = json.dumps(chosen["aws_config"], sort_keys=True)
        return cls(**{name: value if value != "" else None for name, value in chosen.items()})

    @property
    def public(self) -> dict[str, Any]:
        """What may be shown and recorded: everything but the keys. Only what is set; an argument as it was given."""
        values = {name: getattr(self, name) for name in AWS_ARGUMENTS if name not in SECRET}
        if self.aws_config is not None:
            values["aws_config"] = json.loads(self.aws_config)
        return {name: value for name, value in values.items() if value is not None}


def _from_environment(name: str) -> str | None:
    return next((os.environ[variable] for variable in ENVIRONMENT[name] if os.environ.get(variable)), None)


def remember_keys(arguments: Mapping[str, Any]) -> None:
    """Keep the keys that a task was given as options for what this process asks of AWS with recorded settings.

    A record has no keys. A task runs in a process of its own, so that they do not reach another one.
    """
    _given.update({name: arguments[name] for name in SECRET if arguments.get(name)})


def is_aws_needed(settings: Mapping[str, Any], revision: str = "") -> bool:
    """Whether a deployment has anything to ask of AWS.

    :param settings: the deployment group's settings, in the API's shape in snake_case.
    :param revision: what is to be deployed, as the user typed it.
    """
    load_balancers = settings.get("load_balancer_info")
    return (
        revision.startswith("s3://")
        or any(settings.get(name) for name in NEEDS_AWS if name != "load_balancer_info")
        or bool(load_balancers and any(load_balancers.values()))
        or bool(settings.get("trigger_configurations"))
    )


def client(settings: AwsSettings, service: str, region: str | None = None) -> Any:
    """Return boto3's client of a service, with standard retries. Its calls belong inside :func:`aws_errors`.

    :param service: boto3's name of the service, V(s3) or V(elbv2) for example.
    :param region: instead of the one of the settings.
    :raises AwsError: when boto3 is missing or too old, or there are no credentials, no region or no such profile.
    """
    _check_boto3()
    with aws_errors():
        # Another region is no other session: credentials are obtained once.
        session = _session(settings)
        if session.get_credentials() is None:
            from botocore.exceptions import NoCredentialsError

            raise NoCredentialsError
        made = session.client(
            service, region_name=region or settings.region, config=_config(settings), **_connection(settings)
        )
    note_calls(made)
    return made


@functools.lru_cache(maxsize=1)
def _check_boto3() -> None:
    need = "boto3 {}.{}.{} or newer".format(*MINIMUM_BOTO3)
    how = "install it in Ansible's own Python: python3 -m pip install --upgrade boto3"
    try:
        import boto3
    except ImportError as error:
        raise AwsError(f"{need} is needed on the controller to use AWS, and is not there; {how}", "NoBoto3") from error
    version = tuple(int(part) for part in boto3.__version__.split(".")[:3] if part.isdigit())
    if version < MINIMUM_BOTO3:
        raise AwsError(
            f"{need} is needed on the controller to use AWS, and it has {boto3.__version__}; {how}", "NoBoto3"
        )


def _config(settings: AwsSettings) -> Any:
    from botocore.config import Config

    options = {
        "retries": {"mode": "standard", "total_max_attempts": MOST_ATTEMPTS},
        "connect_timeout": CONNECT_SECONDS,
        "user_agent_extra": USER_AGENT,
    }
    own = json.loads(settings.aws_config) if settings.aws_config else {}
    try:
        return Config(**{**options, **own})
    except (TypeError, ValueError) as error:
        raise AwsError(f"aws_config: {error}; its keys are those of botocore.config.Config", "InvalidInput") from error


def _connection(settings: AwsSettings) -> dict[str, Any]:
    verify: bool | str | None = settings.aws_ca_bundle
    if settings.validate_certs is False:
        verify = False
    return {"endpoint_url": settings.endpoint_url, "verify": verify}


@functools.lru_cache(maxsize=32)
def _session(settings: AwsSettings) -> Any:
    """Return the process's session; a role is assumed at the first call, and again when its credentials expire."""
    import boto3

    source = boto3.Session(
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        aws_session_token=settings.session_token,
        profile_name=settings.profile,
        region_name=settings.region,
    )
    if not settings.assume_role_arn:
        return source
    return boto3.Session(botocore_session=_assuming(source, settings), region_name=settings.region)


def _assuming(source: Any, settings: AwsSettings) -> Any:
    import botocore.session
    from botocore.credentials import (
        AssumeRoleCredentialFetcher,
        CredentialProvider,
        CredentialResolver,
        DeferredRefreshableCredentials,
    )
    from botocore.exceptions import NoCredentialsError

    credentials = source.get_credentials()
    if credentials is None:
        raise NoCredentialsError

    def sts(service: str, **keys: Any) -> Any:
        made = source.client(
            service, region_name=settings.region, config=_config(settings), **_connection(settings), **keys
        )
        note_calls(made)
        return made

    fetcher = AssumeRoleCredentialFetcher(
        sts, credentials, settings.assume_role_arn, extra_args={"RoleSessionName": SESSION_NAME}
    )

    class Role(CredentialProvider):
        METHOD = "assume-role"

        def load(self) -> Any:
            return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)

    session = botocore.session.Session(profile=settings.profile)
    session.register_component("credential_provider", CredentialResolver([Role()]))
    return session
