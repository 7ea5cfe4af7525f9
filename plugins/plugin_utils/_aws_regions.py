# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances of several regions or accounts, when what a deployment asks AWS for is of one, as with CodeDeploy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._alarms import watched_alarms
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._auto_scaling import suspends
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import Findings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_settings import (
    classic_load_balancers,
    target_groups,
)


def check_regions(options: Mapping[str, Any], instances: Iterable[Mapping[str, Any]], findings: Findings) -> None:
    """Find what a deployment cannot do for instances that are elsewhere than what it asks AWS for.

    Load balancers and Auto Scaling groups have instances of their own region and account alone; an alarm may well be
    about instances of another one.

    :param options: of the deployment's record.
    :param instances: their variables; those that no inventory of EC2 has found say nothing.
    """
    bound = bound_to_region(options)
    alarms = watched_alarms(options.get("alarm_configuration"))
    if not (bound or alarms):
        return
    found = [variables["codedeploy_aws"] for variables in instances if variables.get("codedeploy_aws")]
    regions = Counter(str(one["region"]) for one in found)
    here = AwsSettings.from_arguments(options.get("aws") or {}).region
    where = ", ".join(f"{count} in {name}" for name, count in sorted(regions.items()))
    if bound and len(regions) > 1:
        findings.problems.append(
            f"the instances are in several regions ({where}), and a deployment's {bound} are in one; deploy to each "
            "region as a deployment group of its own (its regions in the inventory's file), or set deploy_region and "
            "limit the run to the instances there"
        )
    elif bound and here and regions and here not in regions:
        (there,) = regions
        findings.problems.append(
            f"the instances are in {there}, and the deployment's {bound} are looked for in {here}; set region "
            f"(deploy_region) to {there}"
        )
    if bound and len({(one.get("profile"), one.get("assume_role_arn")) for one in found}) > 1:
        findings.problems.append(
            f"the instances are in several accounts, and a deployment's {bound} are in one; deploy to each account as "
            "a deployment group of its own"
        )
    if alarms and len(regions) > 1:
        asked = f"those of {here} alone" if here else "those of the deployment's own region alone"
        findings.warnings.append(f"the instances are in several regions ({where}), and its alarms are {asked}")


def bound_to_region(options: Mapping[str, Any]) -> str:
    """Say what a deployment uses that has instances of its own region alone; empty for nothing."""
    kinds = {
        "target groups": bool(target_groups(options)),
        "classic load balancers": bool(classic_load_balancers(options)),
        "Auto Scaling groups": suspends(options),
    }
    return " and ".join(kind for kind, used in kinds.items() if used)
