# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The load balancers of single instances, from a deployment's options and the instance's variables."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic import (
    LoadBalancer,
    Traffic,
    TrafficError,
    TrafficOptions,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_classic import ClassicLoadBalancer
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_command import CommandProvider, Commands
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_haproxy import Haproxy
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_nginx import Nginx, NginxSettings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_place import (
    Answer,
    Controller,
    InventoryHost,
    Place,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_settings import (
    classic_load_balancers,
    is_load_balanced,
    target_groups,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_target_group import TargetGroup

HAPROXY_SOCKET = "/run/haproxy/admin.sock"
# Variables that inventories and facts give to instances of EC2.
INSTANCE_ID_VARIABLES = ("instance_id", "ec2_instance_id", "ansible_ec2_instance_id")
_INSTANCE_ID = re.compile(r"m?i-[0-9a-f]{8,17}\Z")
_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Places:
    """Where load balancers are given their orders; each place once.

    :param remember: ask each thing only once, for checks of many instances that change nothing.
    """

    def __init__(self, action: ActionBase, task_vars: Mapping[str, Any], remember: bool = False) -> None:
        self._action = action
        self._task_vars = task_vars
        self._remember = remember
        self._found: dict[tuple[str, bool | None], Place] = {}

    def at(self, entry: Mapping[str, Any]) -> Place:
        """Return the place of an entry of C(deploy_traffic).

        :raises TrafficError: the inventory has no such host.
        """
        host, become = str(entry.get("host") or ""), entry.get("become")
        if (host, become) not in self._found:
            place: Place = InventoryHost(self._action, self._task_vars, host, become) if host else Controller()
            self._found[host, become] = _Remembering(place) if self._remember else place
        return self._found[host, become]


class _Remembering(Place):
    """A place that is asked each thing only once."""

    def __init__(self, place: Place) -> None:
        self.name = place.name
        self._place = place
        self._answers: dict[str, dict[str, Any] | OSError] = {}

    def command(self, argv: Sequence[str]) -> Answer:
        return self._place.command(argv)

    def program(self, module: ModuleType, request: Mapping[str, Any]) -> dict[str, Any]:
        key = f"{module.__name__} {json.dumps(request, sort_keys=True)}"
        if key not in self._answers:
            try:
                self._answers[key] = self._place.program(module, request)
            except OSError as error:
                self._answers[key] = error
        answer = self._answers[key]
        if isinstance(answer, OSError):
            raise answer
        return answer


def traffic_of(
    options: Mapping[str, Any], name: str, places: Places, variables: Mapping[str, Any], alive: Callable[[], None]
) -> Traffic | None:
    """Return the load balancers of one instance of a deployment, None when the deployment has none.

    :param options: of the deployment's record.
    :param variables: of the instance, templated.
    :param alive: called again and again while they are waited for.
    :raises TrafficError: when a variable is missing that says what the instance is to them.
    """
    if not is_load_balanced(options):
        return None
    return Traffic(load_balancers(options, name, places, variables), traffic_options(options), alive)


def traffic_options(options: Mapping[str, Any]) -> TrafficOptions:
    """Return how long the events may take, from a deployment's options."""
    defaults = TrafficOptions()
    return TrafficOptions(
        block_timeout=float(options.get("block_traffic_timeout", defaults.block_timeout)),
        allow_timeout=float(options.get("allow_traffic_timeout", defaults.allow_timeout)),
        reregister_on_failure=bool(options.get("reregister_on_failure", defaults.reregister_on_failure)),
    )


def load_balancers(
    options: Mapping[str, Any], name: str, places: Places, variables: Mapping[str, Any]
) -> list[LoadBalancer]:
    """Return the load balancers of one instance; see traffic_of()."""
    groups, classic = target_groups(options), classic_load_balancers(options)
    found: list[LoadBalancer] = []
    if groups or classic:
        settings = AwsSettings.from_arguments(options.get("aws") or {})
        instance = instance_id(name, variables)
        found += [TargetGroup(settings, group, instance) for group in groups]
        found += [ClassicLoadBalancer(settings, balancer, instance) for balancer in classic]
    for entry in options.get("traffic") or []:
        found.append(_of_entry(_with_variables(entry, name, variables), name, places))
    return found


def instance_id(name: str, variables: Mapping[str, Any]) -> str:
    """Return the id of an instance of EC2.

    :raises TrafficError: when neither a variable nor its name has one.
    """
    for variable in INSTANCE_ID_VARIABLES:
        if variables.get(variable):
            return str(variables[variable])
    if _INSTANCE_ID.match(name):
        return name
    raise TrafficError(
        f"{name} has no {INSTANCE_ID_VARIABLES[0]}: load balancers of AWS know instances by their id; give the host "
        f"that variable, as AWS inventories do"
    )


def instances_problems(options: Mapping[str, Any], names: Iterable[str], places: Places) -> list[str]:
    """Return what would keep BlockTraffic and AllowTraffic from succeeding on some instances; changes nothing.

    :param places: made to remember.
    """
    hosts = places._task_vars.get("hostvars") or {}
    problems: dict[str, None] = {}
    asked: set[str] = set()
    for name in names:
        try:
            found = load_balancers(options, name, places, hosts.get(name, {}))
        except (TrafficError, AnsibleError) as error:
            problems[str(error)] = None
            continue
        for balancer in found:
            if balancer.name not in asked:
                asked.add(balancer.name)
                problems.update(dict.fromkeys(_problems(balancer)))
    return list(problems)


def _problems(balancer: LoadBalancer) -> list[str]:
    try:
        return balancer.problems()
    except AnsibleError as error:
        return [f"{balancer.name}: {error}"]


def _of_entry(entry: Mapping[str, Any], name: str, places: Places) -> LoadBalancer:
    place = places.at(entry)
    if entry["provider"] == "haproxy":
        server = str(entry.get("server") or name)
        return Haproxy(place, str(entry.get("socket") or HAPROXY_SOCKET), str(entry["backend"]), server)
    if entry["provider"] == "nginx":
        given = {key: entry[key] for key in ("file", "upstream", "test", "reload", "pid_file") if entry.get(key)}
        return Nginx(place, NginxSettings(**given), str(entry["server"]))
    return CommandProvider(place, Commands(entry["block"], entry["allow"], entry.get("status")))


def _with_variables(value: Any, name: str, variables: Mapping[str, Any]) -> Any:
    """Return data in which C({name}) stands for the instance's variable of that name.

    :raises TrafficError: there is no such variable.
    """
    if isinstance(value, Mapping):
        return {key: _with_variables(item, name, variables) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_variables(item, name, variables) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        variable = match.group(1)
        if variables.get(variable) is not None:
            return str(variables[variable])
        if variable in ("inventory_hostname", "ansible_host"):
            return name
        raise TrafficError(f"deploy_traffic: {match.group(0)} is no variable of {name}")

    return _VARIABLE.sub(replace, value)
