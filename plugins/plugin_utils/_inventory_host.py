# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an EC2 instance is as a host of the inventory: its name, its address, its variables; no input or output."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_tags import tags_of

ADDRESSES = {"private": ("PrivateIpAddress", "PublicIpAddress"), "public": ("PublicIpAddress", "PrivateIpAddress")}
# Names of amazon.aws' inventory plugin, which are those of DescribeInstances' filters.
ATTRIBUTES = {
    "instance-id": "InstanceId",
    "private-ip-address": "PrivateIpAddress",
    "private-dns-name": "PrivateDnsName",
    "ip-address": "PublicIpAddress",
    "dns-name": "PublicDnsName",
}


def host_names(instances: Mapping[str, Mapping[str, Any]], preferences: Sequence[str]) -> dict[str, str]:
    """Choose the name of each instance in the inventory.

    :param instances: as DescribeInstances has them, by their ids.
    :param preferences: the first that an instance has is its name: one of ATTRIBUTES, or V(tag:KEY). Without any, and
        for instances that have none of them, it is the id.
    :returns: names by ids. A name that several instances would have is followed by their ids.
    """
    chosen = {one: _name(instance, preferences) or one for one, instance in instances.items()}
    count = Counter(chosen.values())
    return {one: name if count[name] == 1 else f"{name}_{one}" for one, name in chosen.items()}


def _name(instance: Mapping[str, Any], preferences: Sequence[str]) -> str:
    for preference in preferences:
        if preference.startswith("tag:"):
            value = tags_of(instance.get("Tags")).get(preference[4:])
        else:
            value = instance.get(ATTRIBUTES[preference])
        if value:
            # Spaces, commas and colons mean something in patterns of hosts, braces in templates.
            return re.sub(r"[^\w.-]+", "_", str(value)).strip("_")
    return ""


def unknown_preferences(preferences: Sequence[str]) -> list[str]:
    """Return the preferences that are neither an attribute nor a tag."""
    return [one for one in preferences if one not in ATTRIBUTES and not re.fullmatch(r"tag:.+", one, re.DOTALL)]


def host_variables(
    instance: Mapping[str, Any], address: str, aws: Mapping[str, Any], tags_variable: str
) -> dict[str, Any]:
    """Return the variables of an instance.

    All that DescribeInstances says, in snake_case, as amazon.aws' plugin has it; and: C(ansible_host), C(deploy_zone),
    C(instance_state), C(codedeploy_aws), and the tags as a mapping.

    :param address: V(private), V(public) or V(ssm).
    :param tags_variable: name of the variable with the tags; C(tags) is a word of Ansible's own.
    :param aws: the options with which the instance was found, without secrets.
    """
    region = instance["Region"]
    variables: dict[str, Any] = camel_dict_to_snake_dict({**instance, "Tags": []})
    zone = (instance.get("Placement") or {}).get("AvailabilityZone")
    variables["placement"] = {**variables.get("placement", {}), "region": region}
    variables.update({"deploy_zone": zone, "codedeploy_aws": {**aws, "region": region}})
    variables[tags_variable] = tags_of(instance.get("Tags"))
    variables["instance_state"] = (instance.get("State") or {}).get("Name")
    for name in ("region", "tags"):
        variables.pop(name, None)
    variables.update(_address(instance, address, {**aws, "region": region}))
    return {name: value for name, value in variables.items() if value is not None}


def _address(instance: Mapping[str, Any], address: str, aws: Mapping[str, Any]) -> dict[str, Any]:
    if address != "ssm":
        return {"ansible_host": next((instance[name] for name in ADDRESSES[address] if instance.get(name)), None)}
    # What AWS documents for ssh through Session Manager; everything else of ssh stays as it is.
    command = ["aws", "ssm", "start-session", "--target", "%h", "--document-name", "AWS-StartSSHSession"]
    command += ["--parameters", "portNumber=%p"]
    for option, argument in (("region", "--region"), ("profile", "--profile"), ("endpoint_url", "--endpoint-url")):
        if aws.get(option):
            command += [argument, str(aws[option])]
    proxy = shlex.quote("ProxyCommand=" + " ".join(shlex.quote(part) for part in command))
    return {"ansible_host": instance["InstanceId"], "ansible_ssh_common_args": f"-o {proxy}"}
