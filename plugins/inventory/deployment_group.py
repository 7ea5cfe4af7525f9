# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory plugin: the deployment groups of an application, and their instances."""

from __future__ import annotations

DOCUMENTATION = r"""
name: deployment_group
short_description: Deployment groups of an application, with their instances from AWS and from other inventories
version_added: 0.1.0
description:
  - Reads a file that describes one application and its deployment groups as CodeDeploy knows them, and makes each
    deployment group an Ansible group named C(APPLICATION_GROUP), where characters that Ansible does not allow are V(_).
  - Members are the EC2 instances with the wanted tags, the instances of Auto Scaling groups that are in service, and
    hosts of inventory sources read before this one whose variable O(tags_variable) has the wanted tags. An
    instance that is selected in several ways is there once.
  - The settings of each group are in the variable C(codedeploy_deployment_groups) of the group C(all), under the
    name of the Ansible group, where the playbooks and roles of this collection find them.
  - In each group the hosts are in the order in which CodeDeploy deploys, by what the record of deployments says of
    their health - unhealthy, unknown, old revision, current revision.
  - The file's name ends with C(codedeploy.yml) or C(codedeploy.yaml).
author:
  - agentless.codedeploy contributors (!UNKNOWN)
extends_documentation_fragment:
  - agentless.codedeploy._aws
  - agentless.codedeploy._attributes.store
  - constructed
  - inventory_cache
options:
  plugin:
    description: Always V(agentless.codedeploy.deployment_group).
    type: str
    required: true
    choices: [agentless.codedeploy.deployment_group]
  application_name:
    description:
      - The application. A deployment group can have an C(application_name) of its own.
    type: str
  deployment_groups:
    description:
      - The deployment groups, with the fields that CodeDeploy's API has, in snake_case. What
        C(aws deploy get-deployment-group) prints below C(deploymentGroupInfo) is understood as it is.
      - C(deployment_group_name) is needed. C(ec2_tag_filters) or C(ec2_tag_set), C(auto_scaling_groups),
        and C(on_premises_instance_tag_filters) or C(on_premises_tag_set) select instances.
      - A group can also have C(regions) and the options of AWS of this plugin, O(assume_role_arn) for example, for
        itself. Keys that are given here are not passed on to a deployment.
      - CodeDeploy's limits hold, and what it refuses is refused with its own error codes.
    type: list
    elements: dict
    required: true
  regions:
    description:
      - Regions to look for instances in. Without it, O(region).
    type: list
    elements: str
    default: []
  instance_states:
    description:
      - States of the EC2 instances that tags select.
      - CodeDeploy deploys to instances that are stopped, and counts them as failed, and so does this default. With
        V([running]) they are left out.
    type: list
    elements: str
    choices: [pending, running, stopping, stopped, shutting-down]
    default: [pending, running, stopping, stopped]
  hostnames:
    description:
      - What an instance is called in the inventory - the first of V(instance-id), V(private-ip-address),
        V(private-dns-name), V(ip-address), V(dns-name) and C(tag:KEY) that it has.
      - The record of deployments knows instances by this name, so that it should be one that lasts.
      - Instances that would have the same name have their ids after it.
    type: list
    elements: str
    default: [instance-id]
  address:
    description:
      - Which address C(ansible_host) is. V(private) and V(public) take the other one where an instance has only that.
      - V(ssm) goes through Session Manager, as AWS documents it for ssh; the AWS CLI and its Session Manager plugin are
        then needed on the controller.
      - O(compose) can set C(ansible_host) to anything else.
    type: str
    choices: [private, public, ssm]
    default: private
  tags_variable:
    description:
      - Variable with the tags of a host. EC2 instances get it, a mapping. Hosts from other inventory sources are
        selected by it, and it may be a list of keys and values there.
      - It is read from the sources and from C(group_vars) and C(host_vars) beside them, and not templated.
      - In O(compose), O(groups) and O(keyed_groups) the tags are C(tags) too, as in amazon.aws' plugin.
    type: str
    default: codedeploy_tags
"""

EXAMPLES = r"""
# hollowweb.codedeploy.yml: one group by a tag.
# ansible-playbook -i hollowweb.codedeploy.yml agentless.codedeploy.deploy -e deploy_group=HollowWeb_production
plugin: agentless.codedeploy.deployment_group
application_name: HollowWeb
regions: [us-east-1]
deployment_groups:
  - deployment_group_name: production
    ec2_tag_filters:
      - {key: App, value: HollowWeb, type: KEY_AND_VALUE}
    deployment_config_name: CodeDeployDefault.HalfAtATime
    auto_rollback_configuration: {enabled: true, events: [DEPLOYMENT_FAILURE]}

---
# Several groups, one of them in another account; names from tags, public addresses, groups by zone, and a cache.
plugin: agentless.codedeploy.deployment_group
application_name: HollowWeb
regions: [us-east-1, eu-west-1]
profile: deployer
hostnames: ["tag:Name", instance-id]
address: public
deployment_groups:
  - deployment_group_name: staging
    # In every list one filter must match.
    ec2_tag_set:
      ec2_tag_set_list:
        - - {key: App, value: HollowWeb, type: KEY_AND_VALUE}
        - - {key: Stage, value: "staging*", type: KEY_AND_VALUE}
          - {key: Canary, type: KEY_ONLY}
  - deployment_group_name: production
    auto_scaling_groups: [hollowweb-production]
    regions: [us-east-1]
    assume_role_arn: arn:aws:iam::123456789012:role/deploy
keyed_groups:
  - {key: deploy_zone, prefix: zone}
compose:
  ansible_user: "'ec2-user' if tags.Os | default('') == 'amazon' else 'admin'"
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: /tmp/codedeploy-inventory
cache_timeout: 300

---
# Servers of one's own, by the variable codedeploy_tags: no AWS account and no boto3.
# ansible-inventory -i servers.yml -i hollowweb.codedeploy.yml --graph
plugin: agentless.codedeploy.deployment_group
application_name: HollowWeb
deployment_groups:
  - deployment_group_name: production
    on_premises_instance_tag_filters:
      - {key: App, value: HollowWeb, type: KEY_AND_VALUE}
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.inventory.helpers import get_group_vars
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var
from ansible.utils.vars import combine_vars
from ansible.vars.plugins import get_vars_from_inventory_sources

try:
    from ansible.template import trust_as_template
except ImportError:
    # Before 2.19 all texts are trusted that are not marked.
    def trust_as_template(value: str) -> str:
        """Return the text."""
        return value


from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AWS_ARGUMENTS, AwsSettings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ec2_instances import (
    check_scaling_groups,
    find_instances,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_definition import (
    GroupDefinition,
    public_aws,
    read_groups,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_settings import SELECTIONS
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_tags import tags_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._inventory_health import (
    GroupHealth,
    health_variable,
    ordered,
    read_health,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._inventory_host import (
    host_names,
    host_variables,
    unknown_preferences,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import StoreError

ENDINGS = ("codedeploy.yml", "codedeploy.yaml")
VARIABLE = "codedeploy_deployment_groups"
HARMLESS = re.compile(r"[\w .,:;/@+=()-]*", re.ASCII)
# What may be a template in a deployment group. Its other settings are templated where they are used.
TEMPLATES = (*SELECTIONS, *AWS_ARGUMENTS, "application_name", "deployment_group_name", "regions")

Found = dict[str, dict[str, Any]]


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Makes each deployment group of a file an Ansible group."""

    NAME = "agentless.codedeploy.deployment_group"

    def verify_file(self, path: str) -> bool:
        """Whether the file is one for this plugin."""
        return super().verify_file(path) and path.endswith(ENDINGS)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add the groups of a file, and their members, to the inventory."""
        super().parse(inventory, loader, path, cache)
        config = self._read_config_data(path)
        self._check_options(config)
        try:
            groups = self._groups()
            found = self._cached(path, config, cache, groups)
            self._add(groups, found)
        except CodeDeployError as error:
            raise AnsibleParserError(f"{path}: {error.code}: {error.message}") from error

    def _check_options(self, config: Mapping[str, Any]) -> None:
        """Refuse an option that there is not: one with a typing error would silently do nothing."""
        defined = self.option_definitions
        known = {"plugin", *defined}
        for definition in defined.values():
            known.update(alias for alias in definition.get("aliases") or [])
        unknown = sorted(str(name) for name in config if name not in known)
        if unknown:
            raise AnsibleParserError(
                f"there is no option {', '.join(unknown)}; see ansible-doc -t inventory {self.NAME}"
            )
        strange = unknown_preferences(self.get_option("hostnames"))
        if strange:
            raise AnsibleParserError(f"hostnames: {', '.join(strange)} is neither an attribute nor tag:KEY")

    def _groups(self) -> list[GroupDefinition]:
        definitions = [
            {name: self._templated(value) if name in TEMPLATES else value for name, value in dict(definition).items()}
            for definition in self.get_option("deployment_groups")
        ]
        groups = read_groups(self._templated(self.get_option("application_name")), definitions)
        for group in groups:
            if group.unknown:
                self.display.warning(
                    f"deployment group {group.settings['deployment_group_name']}: nothing here reads "
                    f"{', '.join(group.unknown)}"
                )
        return groups

    def _templated(self, value: Any) -> Any:
        self.templar.available_variables = self._vars
        return self.templar.template(value) if self.templar.is_template(value) else value

    def _cached(
        self, path: str, config: Mapping[str, Any], cache: bool, groups: list[GroupDefinition]
    ) -> dict[str, Any]:
        """Return what AWS says of the groups, from the cache where that is wanted and has it."""
        if not any(group.asks_aws for group in groups):
            return {"instances": {}, "members": {}}
        # Another content of the file is another question.
        described = json.dumps([config, [group.aws for group in groups], self._vars], sort_keys=True, default=str)
        key = self.get_cache_key(path + hashlib.sha256(described.encode()).hexdigest())
        wanted = self.get_option("cache")
        if wanted and cache:
            try:
                return dict(self._cache[key])
            except KeyError:
                pass
        found = self._find(groups)
        if wanted:
            self._cache[key] = found
        return found

    def _find(self, groups: list[GroupDefinition]) -> dict[str, Any]:
        """Ask AWS, once for all groups of one account and region."""
        places: dict[tuple[AwsSettings, str | None], list[GroupDefinition]] = {}
        own = {name: self._templated(self.get_option(name)) for name in AWS_ARGUMENTS}
        regions = self._templated(self.get_option("regions"))
        for group in groups:
            settings = AwsSettings.from_arguments(group.aws, own)
            for region in (group.regions or regions or [settings.region]) if group.asks_aws else []:
                places.setdefault((settings, region), []).append(group)
        instances: Found = {}
        members: dict[str, list[str]] = {}
        scaling_groups: dict[str, set[str]] = {}
        for (settings, region), there in places.items():
            found = find_instances(settings, region, there, self.get_option("instance_states"))
            for one, instance in found["instances"].items():
                instances.setdefault(one, {**instance, "Aws": settings.public})
            for name, ids in found["members"].items():
                members.setdefault(name, []).extend(ids)
                scaling_groups.setdefault(name, set()).update(found["scaling_groups"])
        check_scaling_groups([group for group in groups if group.asks_aws], scaling_groups)
        return {"instances": instances, "members": members}

    def _add(self, groups: list[GroupDefinition], found: Mapping[str, Any]) -> None:
        """Add groups, hosts and variables to the inventory."""
        instances: Found = found["instances"]
        names = host_names(instances, self.get_option("hostnames"))
        hosts = self.inventory.hosts.items() if any(group.on_premises_tags for group in groups) else ()
        others = {name: self._tags_of_host(host) for name, host in hosts if "codedeploy_aws" not in host.vars}
        for one, name in names.items():
            self._add_instance(name, instances[one])
        health = self._health(groups)
        for group in groups:
            self.inventory.add_group(group.name)
            members = [names[one] for one in found["members"].get(group.name, [])]
            members += [name for name, tags in others.items() if group.on_premises_tags.matches(tags)]
            for name in ordered(members, health.get(group.name, {})):
                self.inventory.add_host(name, group=group.name)
        for name, variable in health_variable(groups, health, self.inventory.hosts).items():
            self.inventory.set_variable(name, "codedeploy_health", _marked(variable))
        for name in names.values():
            self._construct(name)
        known = self.inventory.groups["all"].get_vars().get(VARIABLE) or {}
        own = {group.name: self._settings(group) for group in groups}
        self.inventory.set_variable("all", VARIABLE, {**known, **own})

    def _settings(self, group: GroupDefinition) -> dict[str, Any]:
        """Return a group's settings, with the way to its account, for what a deployment asks AWS later."""
        aws = public_aws({**{name: self._templated(self.get_option(name)) for name in AWS_ARGUMENTS}, **group.aws})
        regions = group.regions or self._templated(self.get_option("regions"))
        if regions:
            aws["region"] = regions[0]
        return {**aws, **group.settings}

    def _add_instance(self, name: str, instance: Mapping[str, Any]) -> None:
        self.inventory.add_host(name)
        described = {key: value for key, value in instance.items() if key != "Aws"}
        tags_variable = self.get_option("tags_variable")
        variables = host_variables(described, self.get_option("address"), instance["Aws"], tags_variable)
        for variable, value in variables.items():
            self.inventory.set_variable(name, variable, _marked(value))

    def _construct(self, name: str) -> None:
        """Do for an instance what the options of constructed inventories say."""
        strict, variables = self.get_option("strict"), self.inventory.get_host(name).get_vars()
        # As in amazon.aws' plugin. It is no variable of the host, because that is a word of Ansible's own.
        variables["tags"] = variables[self.get_option("tags_variable")]
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)

    def _tags_of_host(self, host: Any) -> dict[str, str]:
        """Return the tags of a host of another source, as its variables say."""
        sources = getattr(self.inventory, "processed_sources", [])
        of_groups = combine_vars(
            get_group_vars(host.get_groups()),
            get_vars_from_inventory_sources(self.loader, sources, host.get_groups(), "all"),
        )
        own = combine_vars(host.get_vars(), get_vars_from_inventory_sources(self.loader, sources, [host], "all"))
        return tags_of(combine_vars(of_groups, own).get(self.get_option("tags_variable")))

    def _health(self, groups: list[GroupDefinition]) -> dict[str, GroupHealth]:
        try:
            return read_health(self.get_option("store"), groups)
        except StoreError as error:
            self.display.warning(f"the health of instances is not known: {error.message}")
            return {}


def _marked(value: Any) -> Any:
    """Mark every text of AWS that could be a template: anybody who may tag instances could have written it."""
    if isinstance(value, dict):
        return {name: _marked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if isinstance(value, str):
        return trust_as_template(value) if HARMLESS.fullmatch(value) else wrap_var(value)
    return value
