# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which load balancers a deployment has: C(load_balancer_info) in the API's shape, and C(deploy_traffic)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_LOAD_BALANCERS = 10
PROVIDERS: dict[str, tuple[set[str], set[str]]] = {
    # What each needs, and what else it may have.
    "haproxy": ({"backend"}, {"socket", "server"}),
    "nginx": ({"file", "server"}, {"upstream", "test", "reload", "pid_file"}),
    "command": ({"block", "allow"}, {"status"}),
}
OF_ALL = {"provider", "host", "become"}
ARGV = ("test", "reload", "block", "allow", "status")
LISTS = ("target_group_info_list", "elb_info_list")


def is_load_balanced(options: Mapping[str, Any]) -> bool:
    """Whether a deployment with these options has a load balancer, so that the events around traffic exist."""
    return bool(options.get("traffic")) or bool(target_groups(options) or classic_load_balancers(options))


def target_groups(options: Mapping[str, Any]) -> list[str]:
    """Return the names of the target groups."""
    return _names(options, "target_group_info_list")


def classic_load_balancers(options: Mapping[str, Any]) -> list[str]:
    """Return the names of the classic load balancers."""
    return _names(options, "elb_info_list")


def _names(options: Mapping[str, Any], key: str) -> list[str]:
    entries = (options.get("load_balancer_info") or {}).get(key) or []
    return list(dict.fromkeys(str(entry["name"]) for entry in entries))


def described(options: Mapping[str, Any]) -> list[str]:
    """Say which load balancers a deployment uses, one text each, for the screen."""
    found = [f"target group {name}" for name in target_groups(options)]
    found += [f"classic load balancer {name}" for name in classic_load_balancers(options)]
    for entry in options.get("traffic") or []:
        subject = entry.get("backend") or entry.get("upstream") or entry.get("file") or entry["block"][0]
        where = f" on {entry['host']}" if entry.get("host") else ""
        found.append(f"{entry['provider']} {subject}{where}")
    return found


def load_balancer_problems(information: Any) -> list[str]:
    """Say what is wrong with a C(load_balancer_info), one sentence a problem (InvalidLoadBalancerInfo)."""
    name = "deploy_load_balancer_info: InvalidLoadBalancerInfo"
    if not isinstance(information, Mapping):
        return [f"{name}: it must be a mapping with target_group_info_list or elb_info_list"]
    problems = []
    if information.get("target_group_pair_info_list"):
        problems.append(
            f"{name}: target_group_pair_info_list is for deployments to Amazon ECS; servers have target_group_info_list"
        )
    unknown = sorted(set(information) - {*LISTS, "target_group_pair_info_list"})
    problems += [f"{name}: there is no {key}; it may have {' and '.join(LISTS)}" for key in unknown]
    for key in LISTS:
        entries = information.get(key) or []
        if not isinstance(entries, Sequence) or isinstance(entries, str):
            problems.append(f"{name}: {key} must be a list of mappings with a name")
            continue
        if len(entries) > MOST_LOAD_BALANCERS:
            problems.append(f"{name}: {key} has {len(entries)} entries, at most {MOST_LOAD_BALANCERS} are allowed")
        if any(not isinstance(entry, Mapping) or not entry.get("name") for entry in entries):
            problems.append(f"{name}: every entry of {key} must be a mapping with a name")
    return problems


def traffic_problems(entries: Any) -> list[str]:
    """Say what is wrong with C(deploy_traffic), one sentence a problem."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        return ["deploy_traffic must be a list of mappings"]
    return [problem for number, entry in enumerate(entries) for problem in _entry_problems(number, entry)]


def _entry_problems(number: int, entry: Any) -> list[str]:
    name = f"deploy_traffic[{number}]"
    if not isinstance(entry, Mapping):
        return [f"{name} must be a mapping with a provider"]
    provider = entry.get("provider")
    if provider not in PROVIDERS:
        return [f"{name}.provider: {provider!r} is none of {', '.join(PROVIDERS)}"]
    needed, possible = PROVIDERS[provider]
    problems = [f"{name}: {provider} needs {key}" for key in sorted(needed) if not entry.get(key)]
    known = needed | possible | OF_ALL
    problems += [
        f"{name}: {provider} has no {key}; it has {', '.join(sorted(known))}" for key in sorted(set(entry) - known)
    ]
    for key in ARGV:
        value = entry.get(key)
        if value is None:
            continue
        if isinstance(value, str) or not isinstance(value, Sequence) or not value:
            problems.append(f"{name}.{key} must be a list of a program and its arguments, which no shell reads")
    return problems
