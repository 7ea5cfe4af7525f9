# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How AWS is reached: options, environment, sessions, a role; boto3 only where it is needed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.agentless.codedeploy.plugins.doc_fragments._aws import ModuleDocFragment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils import _aws
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import (
    AWS_ARGUMENTS,
    AwsError,
    AwsSettings,
    aws_errors,
    client,
    is_aws_needed,
)


def settings_of(aws_server, **changes):
    return AwsSettings.from_arguments({**aws_server.arguments, **changes})


def test_options_are_documented_under_the_same_names():
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert {name: option.get("aliases") for name, option in documented.items()} == {
        name: argument.get("aliases") for name, argument in AWS_ARGUMENTS.items()
    }
    assert {name: option["type"] for name, option in documented.items()} == {
        name: argument["type"] for name, argument in AWS_ARGUMENTS.items()
    }


def test_module_defaults_reach_every_module_that_asks_aws(checkout):
    groups = yaml.safe_load((checkout / "meta" / "runtime.yml").read_text())["action_groups"]
    members = [entry for entry in groups["aws"] if isinstance(entry, str)]
    metadata = [entry["metadata"] for entry in groups["aws"] if isinstance(entry, dict)]
    assert metadata == [{"extend_group": ["amazon.aws.aws"]}]
    takes_options = [
        path.stem
        for path in sorted((checkout / "plugins" / "modules").glob("*.py"))
        if "agentless.codedeploy._aws" in fragments(path)
    ]
    assert sorted(members) == takes_options


def fragments(path: Path) -> list[str]:
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "DOCUMENTATION":
            return yaml.safe_load(ast.literal_eval(statement.value)).get("extends_documentation_fragment") or []
    return []


def test_an_option_comes_before_what_is_below_and_that_before_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    monkeypatch.setenv("AWS_URL", "http://127.0.0.1:1")
    below = {"region": "eu-central-1"}
    assert AwsSettings.from_arguments({"region": "us-east-1"}, below).region == "us-east-1"
    assert AwsSettings.from_arguments({"region": None}, below).region == "eu-central-1"
    assert AwsSettings.from_arguments({}).region == "eu-west-1"
    assert AwsSettings.from_arguments({}).endpoint_url == "http://127.0.0.1:1"
    monkeypatch.delenv("AWS_REGION")
    assert AwsSettings.from_arguments({}).region == "eu-west-2"


def test_keys_of_the_environment_do_not_come_before_a_profile(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY", "one")
    monkeypatch.setenv("AWS_SECRET_KEY", "two")
    assert AwsSettings.from_arguments({}).access_key == "one"
    assert AwsSettings.from_arguments({"profile": "mine"}).access_key is None


def test_a_run_with_credentials_takes_none_of_what_is_below():
    keys = {"access_key": "one", "secret_key": "two"}
    assert AwsSettings.from_arguments(keys, {"profile": "mine", "region": "us-east-1"}).profile is None
    assert AwsSettings.from_arguments({"profile": "mine"}, keys).access_key is None


@pytest.mark.parametrize(
    "arguments", [{"profile": "mine", "access_key": "one", "secret_key": "two"}, {"access_key": "one"}]
)
def test_contradicting_options_are_refused(arguments):
    with pytest.raises(AwsError, match="access_key"):
        AwsSettings.from_arguments(arguments)


def test_the_record_gets_no_secret():
    arguments = {"region": "us-east-1", "access_key": "one", "secret_key": "two", "session_token": "three"}
    settings = AwsSettings.from_arguments({**arguments, "aws_config": {"retries": {"max_attempts": 2}}})
    assert settings.public == {"region": "us-east-1", "aws_config": {"retries": {"max_attempts": 2}}}
    assert AwsSettings.from_arguments({}, settings.public).aws_config == settings.aws_config


@pytest.mark.parametrize(
    ("settings", "revision", "needed"),
    [
        ({}, "./hollowweb", False),
        ({}, "s3://bucket/key.zip", True),
        ({"on_premises_instance_tag_filters": [{"key": "App"}]}, "", False),
        ({"auto_rollback_configuration": {"enabled": True}, "load_balancer_info": {}}, "", False),
        ({"ec2_tag_filters": [{"key": "App"}]}, "", True),
        ({"load_balancer_info": {"elb_info_list": [{"name": "web"}]}}, "", True),
    ],
)
def test_what_needs_aws(settings, revision, needed):
    assert is_aws_needed(settings, revision) is needed


def test_client_asks_the_given_address_with_the_given_keys(aws_server):
    with aws_errors():
        client(settings_of(aws_server), "s3").create_bucket(Bucket="hollowweb")
    call = aws_server.calls[-1]
    assert (call["service"], call["action"], call["region"]) == ("s3", "PUT /hollowweb", "us-east-1")
    assert call["key_id"] == aws_server.arguments["access_key"]


def test_client_of_another_region(aws_server):
    client(settings_of(aws_server), "ec2", "eu-west-1").describe_instances()
    assert aws_server.calls[-1]["region"] == "eu-west-1"


def test_a_role_is_assumed_once_for_all_clients(aws_server):
    role = "arn:aws:iam::222222222222:role/deploy"
    settings = settings_of(aws_server, assume_role_arn=role, region="us-west-2")
    identity = client(settings, "sts").get_caller_identity()
    client(settings, "ec2").describe_instances()
    client(settings, "cloudwatch").describe_alarms()
    assert identity["Account"] == "222222222222"
    assert aws_server.actions().count("sts:AssumeRole") == 1
    assert {call["key_id"] for call in aws_server.calls[1:]}.isdisjoint({aws_server.arguments["access_key"]})


def test_settings_of_botocore(aws_server):
    own = {"retries": {"mode": "adaptive", "total_max_attempts": 2}, "read_timeout": 7}
    config = client(settings_of(aws_server, aws_config=own), "ec2").meta.config
    assert (config.retries["mode"], config.retries["total_max_attempts"], config.read_timeout) == ("adaptive", 2, 7)
    with pytest.raises(AwsError, match="aws_config: .*nonsense"):
        client(settings_of(aws_server, aws_config={"nonsense": 1}), "ec2")


def test_without_boto3_one_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    _aws._check_boto3.cache_clear()
    with pytest.raises(AwsError) as caught:
        client(AwsSettings(), "s3")
    assert caught.value.message == (
        "boto3 1.34.0 or newer is needed on the controller to use AWS, and is not there; install it in Ansible's own "
        "Python: python3 -m pip install --upgrade boto3"
    )
    monkeypatch.undo()
    _aws._check_boto3.cache_clear()


def test_an_old_boto3_is_refused(monkeypatch):
    import boto3

    monkeypatch.setattr(boto3, "__version__", "1.26.165")
    _aws._check_boto3.cache_clear()
    with pytest.raises(AwsError, match=r"1\.34\.0 or newer .* it has 1\.26\.165"):
        client(AwsSettings(), "s3")
    monkeypatch.undo()
    _aws._check_boto3.cache_clear()


def test_nothing_imports_boto3_before_it_is_used(checkout):
    """Every file that runs on the controller, in a Python of its own."""
    folders = [checkout / "plugins" / name for name in ("action", "filter", "inventory", "plugin_utils")]
    names = [
        f"ansible_collections.agentless.codedeploy.plugins.{path.parent.name}.{path.stem}"
        for folder in folders
        for path in sorted(folder.glob("*.py"))
    ]
    program = (
        "import importlib, json, sys\nsys.path.insert(0, sys.argv[1])\nimport collection_loader\n"
        "collection_loader.register_collection()\n"
        "for name in json.loads(sys.argv[2]):\n    importlib.import_module(name)\n"
        "print(sorted({'boto3', 'botocore', 'psycopg'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(checkout / "tests"), json.dumps(names)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
