# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the doctor looks at on the controller: the record, the policies, the deployment group."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.release import __version__ as ansible_version

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import Settings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._doctor import Finding
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError, PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import (
    deployment_config,
    minimum_healthy_hosts,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import requesters
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._policy import Operation, check_permission
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._policy_file import read_policies
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_table import counted
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import StoreError, open_store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store_schema import SCHEMA_VERSION

OLDEST_CORE = (2, 16)


def check_ansible() -> Finding:
    """Return whether this ansible-core is supported."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    text = f"ansible-core {ansible_version} with Python {python}"
    if tuple(int(part) for part in ansible_version.split(".")[:2]) < OLDEST_CORE:
        return Finding("ansible", "problem", f"{text}; {'.'.join(map(str, OLDEST_CORE))} or newer is needed")
    return Finding("ansible", "ok", text)


def check_store(location: str | None) -> Finding:
    """Return whether the record of deployments can be used, without making or changing it."""
    try:
        store = open_store(location)
        place = store.location.rpartition("@")[2]
        if "://" not in store.location and not os.path.exists(store.location):
            return _missing_store(store.location)
        version = store.version()
    except StoreError as error:
        return Finding("store", "problem", error.message)
    if version is None or version < SCHEMA_VERSION:
        what = "is empty" if version is None else "is of an earlier version"
        return Finding("store", "ok", f"{place} {what}; the next deployment makes its tables")
    if version > SCHEMA_VERSION:
        return Finding("store", "problem", f"{place} was written by a newer version of the collection; upgrade it here")
    return Finding("store", "ok", place)


def _missing_store(path: str) -> Finding:
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("store", "problem", f"{path} cannot be made: {folder} is not writable; set deploy_store")
    return Finding("store", "ok", f"{path} is made by the first deployment")


def check_policy(application: str | None, group: str | None) -> Finding:
    """Return whether this collection's own policies permit who runs this to deploy."""
    try:
        policies = read_policies()
        check_permission(policies, requesters(), Operation("CreateDeployment", application, group))
    except CodeDeployError as error:
        return Finding("policy", "problem", error.message)
    who = ", ".join(requesters())
    return Finding("policy", "ok", f"{who} may deploy" if policies else "there is none, so that everybody may deploy")


def check_group(group: str | None, hosts: Sequence[str], settle: Callable[[], Settings]) -> list[Finding]:
    """Return what is wrong with a deployment group and its settings.

    :param group: name of the Ansible group, None when none was named.
    :param hosts: in that group.
    :param settle: puts the settings together.
    """
    if group is None:
        return [Finding("group", "unknown", "no group was named; -e deploy_group=NAME looks at it and its instances")]
    if not hosts:
        return [
            Finding(
                "group",
                "problem",
                f"the inventory has no group {group} with hosts in it; see what it has: ansible-inventory --graph",
            )
        ]
    try:
        settings = settle()
        config = deployment_config(settings.config)
        minimum = minimum_healthy_hosts(config, len(hosts))
    except CodeDeployError as error:
        return [Finding("group", "problem", f"{error.code}: {error.message}")]
    except PreflightError as error:
        return [Finding("group", "problem", str(error))]
    count = f"{group} has {counted(len(hosts), 'instance')}"
    findings = [Finding("group", "ok", f"{count}; with {config.name} at least {minimum} stay healthy")]
    findings += [Finding("settings", "problem", text) for text in settings.problems()]
    findings += [
        Finding("settings", "warning", f"{name} of the group {group} is not supported in this version")
        for name in settings.not_supported
    ]
    return findings


def oldest_python() -> tuple[int, int]:
    """Return the lowest version of Python that this ansible-core serves on instances."""
    from ansible.module_utils import basic

    oldest: Any = getattr(basic, "_PY_MIN", None)
    # ansible-core 2.16 and older have no such number.
    return (oldest[0], oldest[1]) if isinstance(oldest, tuple) else (3, 6)


def interpreter_of(variables: Mapping[str, Any]) -> str | None:
    """Return the interpreter that an instance's variables name, None when Ansible is to find one."""
    named = str(variables.get("ansible_python_interpreter") or "auto")
    return None if named.startswith("auto") or "{{" in named else named
