# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployment groups as inventory files describe them."""

from __future__ import annotations

import ast
import re

import pytest
import yaml

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_definition import ansible_name, read_groups

PRODUCTION = {"deployment_group_name": "production"}


def test_a_group():
    own = {"ec2_tag_filters": [{"key": "App"}], "regions": ["eu-west-1"], "iam_role_arn": "arn", "region": None}
    (group,) = read_groups("HollowWeb", [{**PRODUCTION, **own, "deployment_config_name": "HalfAtATime"}])
    assert group.name == "HollowWeb_production"
    assert group.settings == {
        "application_name": "HollowWeb",
        "deployment_group_name": "production",
        "ec2_tag_filters": [{"key": "App"}],
        "deployment_config_name": "HalfAtATime",
    }
    assert (group.aws, group.regions, group.asks_aws) == ({"assume_role_arn": "arn"}, ["eu-west-1"], True)


def test_a_group_as_aws_exports_it():
    exported = {
        "applicationName": "HollowWeb",
        "deploymentGroupId": "6a1c9a4e-0b7e-4a7d-bb0e-0b7c8f6a1d2e",
        "deploymentGroupName": "production",
        "deploymentConfigName": "CodeDeployDefault.OneAtATime",
        "ec2TagSet": {"ec2TagSetList": [[{"Key": "App", "Value": "HollowWeb", "Type": "KEY_AND_VALUE"}]]},
        "autoScalingGroups": [{"name": "hollowweb", "hook": "CodeDeploy-managed"}],
        "loadBalancerInfo": {"targetGroupInfoList": [{"name": "hollowweb"}]},
        "serviceRoleArn": "arn:aws:iam::123456789012:role/CodeDeploy",
        "outdatedInstancesStrategy": "UPDATE",
        "deploymentStyle": {"deploymentType": "IN_PLACE", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        "triggerConfigurations": [],
        "terminationHookEnabled": False,
    }
    (group,) = read_groups(None, [exported])
    assert group.unknown == []
    assert group.deployment_group_id == exported["deploymentGroupId"]
    assert group.auto_scaling_groups == ("hollowweb",)
    assert group.settings["auto_scaling_groups"] == ["hollowweb"]
    assert group.settings["load_balancer_info"] == {"target_group_info_list": [{"name": "hollowweb"}]}
    assert group.ec2_tags.matches({"App": "HollowWeb"})


def test_the_examples_of_the_plugin(checkout):
    source = ast.parse((checkout / "plugins" / "inventory" / "deployment_group.py").read_text())
    texts = {ast.unparse(one.targets[0]): one.value for one in source.body if isinstance(one, ast.Assign)}
    options = set(yaml.safe_load(ast.literal_eval(texts["DOCUMENTATION"]))["options"]) | {"profile"}
    options |= {"keyed_groups", "compose", "cache", "cache_plugin", "cache_connection", "cache_timeout"}
    examples = list(yaml.safe_load_all(ast.literal_eval(texts["EXAMPLES"])))
    assert len(examples) == 3
    for example in examples:
        assert set(example) <= options
        groups = read_groups(example["application_name"], example["deployment_groups"])
        assert [group.unknown for group in groups] == [[]] * len(groups)


def test_names_for_ansible():
    assert ansible_name("Hollow Web", "eu-production.1") == "Hollow_Web_eu_production_1"
    assert ansible_name("2048", "web") == "_2048_web"


def test_a_setting_that_nothing_reads_is_told():
    (group,) = read_groups("HollowWeb", [{**PRODUCTION, "ec2_tag_filter": [{"key": "App"}]}])
    assert group.unknown == ["ec2_tag_filter (ec2_tag_filters?)"]


@pytest.mark.parametrize(
    ("application", "definitions", "code", "sentence"),
    [
        ("HollowWeb", [], "InvalidInput", "at least one deployment group"),
        ("HollowWeb", ["production"], "InvalidInput", "deployment_groups[0] is no mapping"),
        ("HollowWeb", [{}], "DeploymentGroupNameRequired", "deployment_groups[0]: deployment_group_name is missing"),
        (None, [PRODUCTION], "ApplicationNameRequired", "deployment group production: application_name is missing"),
        ("Hollow Web", [PRODUCTION], "InvalidApplicationName", "'Hollow Web' must be 1 to 100 letters"),
        ("HollowWeb", [{"deployment_group_name": "a" * 101}], "InvalidDeploymentGroupName", "must be 1 to 100"),
        (
            "HollowWeb",
            [{"deployment_group_name": "eu-west"}, {"deployment_group_name": "eu_west"}],
            "DeploymentGroupAlreadyExists",
            "two groups would be the Ansible group HollowWeb_eu_west",
        ),
        (
            "HollowWeb",
            [{**PRODUCTION, "auto_scaling_groups": [f"web{number}" for number in range(11)]}],
            "InvalidAutoScalingGroup",
            "auto_scaling_groups has 11 entries, 10 are allowed",
        ),
        ("HollowWeb", [{**PRODUCTION, "auto_scaling_groups": "web"}], "InvalidAutoScalingGroup", "is a list"),
        ("HollowWeb", [{**PRODUCTION, "auto_scaling_groups": [1]}], "InvalidAutoScalingGroup", "is no name"),
        (
            "HollowWeb",
            [{**PRODUCTION, "load_balancer_info": {"target_group_info_list": [{"name": "web"}] * 11}}],
            "InvalidLoadBalancerInfo",
            "load_balancer_info.target_group_info_list has 11 entries",
        ),
        (
            "HollowWeb",
            [
                {
                    **PRODUCTION,
                    "on_premises_instance_tag_filters": [{"key": "a"}],
                    "on_premises_tag_set": [[{"key": "a"}]],
                }
            ],
            "InvalidOnPremisesTagCombination",
            "deployment group production: on_premises_instance_tag_filters and on_premises_tag_set exclude each other",
        ),
    ],
)
def test_what_the_api_refuses(application, definitions, code, sentence):
    with pytest.raises(CodeDeployError, match=re.escape(sentence)) as caught:
        read_groups(application, definitions)
    assert caught.value.code == code
