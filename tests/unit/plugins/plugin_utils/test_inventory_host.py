# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EC2 instances as hosts: names, addresses, variables."""

from __future__ import annotations

import shlex

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._inventory_host import (
    host_names,
    host_variables,
    unknown_preferences,
)

WEB = {
    "InstanceId": "i-1",
    "PrivateIpAddress": "10.0.0.1",
    "PublicIpAddress": "198.51.100.1",
    "Placement": {"AvailabilityZone": "us-east-1b"},
    "State": {"Name": "running"},
    "Region": "us-east-1",
    "Tags": [{"Key": "Name", "Value": "web 1"}, {"Key": "OwnerTeam", "Value": "x"}],
}
STOPPED = {"InstanceId": "i-2", "PrivateIpAddress": "10.0.0.2", "Region": "us-east-1", "State": {"Name": "stopped"}}


def variables(instance, address="private", **aws):
    return host_variables(instance, address, aws, "codedeploy_tags")


def test_names():
    instances = {"i-1": WEB, "i-2": STOPPED}
    assert host_names(instances, ["instance-id"]) == {"i-1": "i-1", "i-2": "i-2"}
    assert host_names(instances, ["tag:Name", "private-ip-address"]) == {"i-1": "web_1", "i-2": "10.0.0.2"}
    assert host_names(instances, ["ip-address"]) == {"i-1": "198.51.100.1", "i-2": "i-2"}


def test_instances_with_one_name_stay_apart():
    instances = {"i-1": WEB, "i-3": {**WEB, "InstanceId": "i-3"}}
    assert host_names(instances, ["tag:Name"]) == {"i-1": "web_1_i-1", "i-3": "web_1_i-3"}


def test_a_name_holds_nothing_that_means_something():
    instance = {**WEB, "Tags": [{"Key": "Name", "Value": "{{ lookup('pipe', 'id') }}:web,db"}]}
    assert host_names({"i-1": instance}, ["tag:Name"]) == {"i-1": "lookup_pipe_id_web_db"}


def test_preferences_that_there_are_not():
    assert unknown_preferences(["tag:Name", "dns-name", "name", "tag:"]) == ["name", "tag:"]


def test_variables():
    found = variables(WEB, profile="mine")
    assert found["codedeploy_tags"] == {"Name": "web 1", "OwnerTeam": "x"}
    assert found["instance_id"] == "i-1"
    assert (found["deploy_zone"], found["instance_state"]) == ("us-east-1b", "running")
    assert found["placement"] == {"availability_zone": "us-east-1b", "region": "us-east-1"}
    assert found["codedeploy_aws"] == {"profile": "mine", "region": "us-east-1"}
    assert "tags" not in found and "region" not in found


def test_addresses():
    assert variables(WEB)["ansible_host"] == "10.0.0.1"
    assert variables(WEB, "public")["ansible_host"] == "198.51.100.1"
    assert variables(STOPPED, "public")["ansible_host"] == "10.0.0.2"
    assert "ansible_host" not in variables({"InstanceId": "i-3", "Region": "us-east-1"})


def test_session_manager():
    found = variables(WEB, "ssm", profile="my own")
    assert found["ansible_host"] == "i-1"
    option, proxy = shlex.split(found["ansible_ssh_common_args"])
    command = shlex.split(proxy.removeprefix("ProxyCommand="))
    assert option == "-o"
    assert command[:7] == "aws ssm start-session --target %h --document-name AWS-StartSSHSession".split()
    assert command[7:] == ["--parameters", "portNumber=%p", "--region", "us-east-1", "--profile", "my own"]
