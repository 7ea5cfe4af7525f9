# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin, asked by ansible-inventory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from support.aws_server import REGION

PLUGIN = "agentless.codedeploy.deployment_group"
APP = {"key": "App", "value": "HollowWeb", "type": "KEY_AND_VALUE"}
PRODUCTION = {"deployment_group_name": "production", "ec2_tag_filters": [APP]}


@pytest.fixture
def listing(controller, aws_server, tmp_path):
    """Give ``listing(groups, *sources, **options)``, which returns groups, variables of hosts, and standard error."""

    def run(deployment_groups, *sources, environment=None, command="--list", **options):
        path = tmp_path / "hollowweb.codedeploy.yml"
        content = {"plugin": PLUGIN, "application_name": "HollowWeb", "deployment_groups": deployment_groups, **options}
        path.write_text(yaml.safe_dump(content))
        arguments = [part for source in (*sources, path) for part in ("--inventory", str(source))]
        environment = aws_server.environment if environment is None else environment
        result = controller.run("ansible-inventory", *arguments, command, **environment)
        assert result.rc == 0, result
        found = json.loads(result.stdout)
        return found, plain(found["_meta"]["hostvars"]), result.stderr

    return run


def plain(value):
    """Return variables without Ansible's mark for texts that are no templates."""
    if isinstance(value, dict):
        if set(value) == {"__ansible_unsafe"}:
            return value["__ansible_unsafe"]
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def own_servers(directory: Path, **hosts) -> Path:
    path = directory / "servers.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    return path


def test_groups_hosts_and_variables(listing, aws_server, tmp_path):
    one, two = sorted(aws_server.run_instances(2, zone="us-east-1b", App="HollowWeb", Name="{{ 6 * 7 }}"))
    aws_server.run_instances(1, App="Other")
    servers = own_servers(tmp_path, db1={"codedeploy_tags": {"App": "HollowWeb"}}, db2={}, db3={})
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars" / "db3.yml").write_text("codedeploy_tags: [{Key: App, Value: HollowWeb}]")
    aws_server.forget_calls()
    found, variables, _errors = listing(
        [
            {**PRODUCTION, "deployment_config_name": "HalfAtATime", "auto_rollback_configuration": {"enabled": True}},
            {**PRODUCTION, "deployment_group_name": "every-where", "on_premises_instance_tag_filters": [APP]},
        ],
        servers,
        regions=[REGION],
        keyed_groups=[{"key": "deploy_zone", "prefix": "zone"}, {"key": "tags.App"}],
        groups={"webservers": "tags.App == 'HollowWeb'"},
        compose={"ansible_user": "'admin-' ~ placement.region"},
        strict=True,
    )
    assert aws_server.actions() == ["ec2:DescribeInstances"]
    assert found["HollowWeb_production"]["hosts"] == [one, two]
    assert found["HollowWeb_every_where"]["hosts"] == ["db1", "db3", one, two]
    assert (
        found["zone_us_east_1b"]["hosts"] == found["_HollowWeb"]["hosts"] == found["webservers"]["hosts"] == [one, two]
    )
    assert variables[one]["ansible_host"].startswith("10.")
    assert variables[one]["ansible_user"] == "admin-us-east-1"
    assert variables[one]["instance_id"] == one
    assert (variables[one]["deploy_zone"], variables[one]["instance_state"]) == ("us-east-1b", "running")
    # Whoever may tag an instance must not be able to have the controller run something.
    assert variables[one]["codedeploy_tags"] == {"App": "HollowWeb", "Name": "{{ 6 * 7 }}"}
    assert variables[one]["codedeploy_aws"] == {"region": REGION}
    settings = variables["db2"]["codedeploy_deployment_groups"]
    assert settings["HollowWeb_production"] == {
        "application_name": "HollowWeb",
        "deployment_group_name": "production",
        "ec2_tag_filters": [APP],
        "deployment_config_name": "HalfAtATime",
        "auto_rollback_configuration": {"enabled": True},
        "region": REGION,
    }
    assert settings["HollowWeb_every_where"]["on_premises_instance_tag_filters"] == [APP]


def test_a_tag_is_never_a_template(controller, aws_server, tmp_path):
    aws_server.run_instances(1, App="HollowWeb", Name="{{ 6 * 7 }}")
    path = tmp_path / "hollowweb.codedeploy.yml"
    path.write_text(yaml.safe_dump({"plugin": PLUGIN, "application_name": "web", "deployment_groups": [PRODUCTION]}))
    show = ["--inventory", str(path), "all", "--module-name", "debug", "--args", "msg=<{{ codedeploy_tags.Name }}>"]
    result = controller.run("ansible", *show, **aws_server.environment)
    assert "<{{ 6 * 7 }}>" in result.stdout, result


def test_several_regions_and_accounts(listing, aws_server):
    here = aws_server.run_instances(1, App="HollowWeb")
    role = "arn:aws:iam::222222222222:role/deploy"
    keys = aws_server.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    own = {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"]}
    own["aws_session_token"] = keys["SessionToken"]
    image, tags = "ami-12c6146b", [{"ResourceType": "instance", "Tags": [{"Key": "App", "Value": "HollowWeb"}]}]
    there = [
        aws_server.client("ec2", region, **own).run_instances(
            ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=tags
        )["Instances"][0]["InstanceId"]
        for region in ("us-east-1", "eu-west-1")
    ]
    other = {**PRODUCTION, "deployment_group_name": "other", "assume_role_arn": role}
    aws_server.forget_calls()
    found, variables, _errors = listing([PRODUCTION, other], regions=["us-east-1", "eu-west-1"])
    assert found["HollowWeb_production"]["hosts"] == here
    assert sorted(found["HollowWeb_other"]["hosts"]) == sorted(there)
    assert aws_server.actions().count("sts:AssumeRole") == 1
    assert variables[there[1]]["codedeploy_aws"] == {"region": "eu-west-1", "assume_role_arn": role}
    settings = variables[here[0]]["codedeploy_deployment_groups"]["HollowWeb_other"]
    assert (settings["region"], settings["assume_role_arn"]) == ("us-east-1", role)


def test_cache(listing, aws_server, tmp_path):
    one = aws_server.run_instances(1, App="HollowWeb")
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    listing([PRODUCTION], **cache)
    aws_server.run_instances(1, App="HollowWeb")
    aws_server.forget_calls()
    found, variables, _errors = listing([PRODUCTION], **cache)
    assert found["HollowWeb_production"]["hosts"] == one
    assert variables[one[0]]["codedeploy_tags"] == {"App": "HollowWeb"}
    assert aws_server.calls == []
    # A file that was changed asks anew.
    found, _variables, _errors = listing([{**PRODUCTION, "ec2_tag_filters": [{"key": "App"}]}], **cache)
    assert len(found["HollowWeb_production"]["hosts"]) == 2


def test_settings_of_several_files_come_together(listing, tmp_path):
    other = tmp_path / "other.codedeploy.yml"
    group = {"deployment_group_name": "production", "on_premises_instance_tag_filters": [APP]}
    other.write_text(yaml.safe_dump({"plugin": PLUGIN, "application_name": "Other", "deployment_groups": [group]}))
    servers = own_servers(tmp_path, web1={"codedeploy_tags": {"App": "HollowWeb"}})
    found, variables, _errors = listing([group], servers, other)
    assert found["Other_production"]["hosts"] == found["HollowWeb_production"]["hosts"] == ["web1"]
    assert set(variables["web1"]["codedeploy_deployment_groups"]) == {"Other_production", "HollowWeb_production"}


def test_servers_of_ones_own_need_no_boto3(listing, tmp_path):
    (tmp_path / "hidden").mkdir()
    for name in ("boto3", "botocore"):
        (tmp_path / "hidden" / f"{name}.py").write_text("raise ImportError('hidden')")
    servers = own_servers(tmp_path, web2={"codedeploy_tags": {"App": "HollowWeb"}}, web1={}, db1={})
    group = {"deployment_group_name": "production", "on_premises_tag_set": [[{"key": "App", "value": "Hollow*"}]]}
    found, _variables, errors = listing([group], servers, environment={"PYTHONPATH": str(tmp_path / "hidden")})
    assert found["HollowWeb_production"]["hosts"] == ["web2"]
    assert errors.strip() == ""
    _found, _variables, errors = listing([PRODUCTION], environment={"PYTHONPATH": str(tmp_path / "hidden")})
    assert "boto3 1.34.0 or newer is needed on the controller to use AWS, and is not there" in " ".join(errors.split())
    assert "Traceback" not in errors


def test_what_is_refused(controller, aws_server, tmp_path):
    scaling = {"deployment_group_name": "production", "auto_scaling_groups": ["web"]}
    files = {
        "both": ([{**PRODUCTION, "ec2_tag_set": [[APP]]}], {}),
        "option": ([PRODUCTION], {"deployment_group": []}),
        "name": ([PRODUCTION], {"hostnames": ["name"]}),
        "scaling": ([scaling], {}),
    }
    arguments = []
    for name, (groups, options) in files.items():
        path = tmp_path / f"{name}.codedeploy.yml"
        content = {"plugin": PLUGIN, "application_name": "HollowWeb", "deployment_groups": groups, **options}
        path.write_text(yaml.safe_dump(content))
        arguments += ["--inventory", str(path)]
    result = controller.run("ansible-inventory", *arguments, "--list", **aws_server.environment)
    errors = " ".join(result.stderr.split())
    for sentence in (
        "InvalidEC2TagCombination: deployment group production: ec2_tag_filters and ec2_tag_set exclude each other",
        "there is no option deployment_group; see ansible-doc",
        "hostnames: name is neither an attribute nor tag:KEY",
        "InvalidAutoScalingGroup: deployment group production: there is no Auto Scaling group web; check its name",
    ):
        assert sentence in errors
    assert "Traceback" not in errors


def test_an_error_of_aws_is_a_sentence(listing, aws_server):
    aws_server.fail("DescribeInstances", "UnauthorizedOperation", status=403)
    _found, _variables, errors = listing([PRODUCTION])
    assert "ec2:DescribeInstances in us-east-1 is not permitted" in " ".join(errors.split())
