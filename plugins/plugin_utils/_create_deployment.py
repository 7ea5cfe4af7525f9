# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create a deployment: resolve its revision, check everything, record it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._application_stop import script_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_preflight import check_aws
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import (
    NOT_SUPPORTED_AND_NEEDED,
    Settings,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    active_deployment,
    create_deployment,
    dead_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError, PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import was_deployed
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import (
    DeploymentConfig,
    deployment_config,
    minimum_healthy_hosts,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_bundle import sign_address
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import Findings, check_script
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._recorded_revision import recorded_revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment, DeploymentRequest
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._restart import events_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import Revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_check import check_revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._zones import zones_of


@dataclass(frozen=True)
class Fleet:
    """The instances: the whole group, and those that C(--limit) left (None: all of them).

    For a zonal configuration also the zone of each, and the order of the zones.
    """

    instances: list[str]
    limited_to: list[str] | None
    zone_of: dict[str, str] = field(default_factory=dict)
    zone_order: list[str] = field(default_factory=list)

    @property
    def chosen(self) -> list[str]:
        """Those that are deployed to."""
        return self.instances if self.limited_to is None else self.limited_to


@dataclass(frozen=True)
class Examined:
    """What was found out about a deployment; None where a problem, which the findings have, hides it."""

    settings: Settings
    fleet: Fleet
    revision: Revision | None
    config: DeploymentConfig | None
    appspec: dict[str, Any]
    findings: Findings


@dataclass(frozen=True)
class Prepared:
    """A deployment that has been checked and not yet been recorded."""

    settings: Settings
    fleet: Fleet
    revision: Revision
    config: DeploymentConfig
    appspec: dict[str, Any]
    warnings: list[str]


def fleet_of(group: str, groups: Mapping[str, Sequence[str]], play_hosts: Sequence[str]) -> Fleet:
    """Return the fleet of a group; its size counts as a whole, also under C(--limit).

    :raises PreflightError: when the play has hosts that are not in the group.
    """
    instances = [str(host) for host in groups.get(group, [])]
    if not instances:
        raise PreflightError(f"deploy_group: the inventory has no group {group} with hosts in it")
    members, wanted = set(instances), set(play_hosts)
    strangers = [str(host) for host in play_hosts if host not in members]
    if strangers:
        raise PreflightError(
            f"deploy_group: this play has hosts that are not in the group {group}: {', '.join(strangers)}; "
            "the play's hosts must be the group or a part of it"
        )
    chosen = [host for host in instances if host in wanted]
    return Fleet(instances, None if len(chosen) == len(instances) else chosen)


def prepare(
    store: Store,
    settings: Settings,
    fleet: Fleet,
    headers: dict[str, str],
    folders: Sequence[str],
    heed_alarms: bool = True,
    further: Callable[[Findings], None] | None = None,
) -> Prepared:
    """Check everything that can be checked from the controller; see examine().

    :raises PreflightError: with all findings in one text.
    """
    examined = examine(store, settings, fleet, headers, folders, heed_alarms, further)
    findings, config, revision = examined.findings, examined.config, examined.revision
    if findings.problems or config is None or revision is None:
        raise PreflightError(findings.report(), findings.problems)
    return Prepared(settings, fleet, revision, config, examined.appspec, findings.warnings)


def examine(
    store: Store,
    settings: Settings,
    fleet: Fleet,
    headers: dict[str, str],
    folders: Sequence[str],
    heed_alarms: bool = True,
    further: Callable[[Findings], None] | None = None,
) -> Examined:
    """Find what is wrong with a deployment, without touching an instance or the record.

    :param heed_alarms: whether an alarm keeps the deployment from being made; none does so with a rollback.
    :param further: adds to the findings; asked only when there is no problem so far.
    """
    findings = Findings()
    config = _check_config(settings, fleet, findings)
    _check_group_free(store, settings, findings)
    findings.problems.extend(settings.problems())
    _check_not_supported(settings, findings)
    if not findings.problems:
        check_aws(settings.recorded, findings, heed_alarms)
    if not findings.problems and further is not None:
        further(findings)
    try:
        last = recorded_revision(store, settings.deployment_group_id, settings.application_name, settings.revision)
    except CodeDeployError as error:
        findings.problems.append(f"{error.code}: {error.message}")
        return Examined(settings, fleet, None, config, {}, findings)
    revision, appspec = check_revision(
        settings.revision, folders, headers, settings.appspec_filename, findings, last, settings.access
    )
    script = script_of(settings.recorded)
    if script and revision:
        check_script("deploy_application_stop", script, revision.contents(settings.appspec_filename), findings)
    return Examined(settings, fleet, revision, config, appspec, findings)


def _check_not_supported(settings: Settings, findings: Findings) -> None:
    for name in settings.not_supported:
        text = f"codedeploy_deployment_groups: {name} of the group {settings.group} is not supported in this version"
        if name in NOT_SUPPORTED_AND_NEEDED:
            findings.problems.append(f"{text}; remove it to deploy in place")
        else:
            findings.warnings.append(f"{text}, and not read")


def record(
    store: Store,
    prepared: Prepared,
    run: Owner,
    only: list[str] | None = None,
    creator: str = "user",
    rollback_of: str | None = None,
    more_options: dict[str, Any] | None = None,
) -> Deployment:
    """Write the deployment into the store, all its instances Pending.

    :param only: the instances that a rollback concerns.
    :param rollback_of: id of the deployment that this one rolls back.
    :param more_options: what else the record keeps among its options.
    :raises CodeDeployError: when the group has become busy in the meantime.
    """
    settings = prepared.settings
    sign_address(prepared.revision.as_record(), settings.options)
    return create_deployment(
        store,
        DeploymentRequest(
            application_name=settings.application_name,
            deployment_group_name=settings.deployment_group_name,
            deployment_group_id=settings.deployment_group_id,
            revision=prepared.revision.as_record(),
            config=prepared.config,
            instances=prepared.fleet.instances,
            owner=run,
            limited_to=prepared.fleet.limited_to,
            zone_of=prepared.fleet.zone_of,
            zone_order=prepared.fleet.zone_order,
            only=only,
            creator=creator,
            rollback_of=rollback_of,
            description=settings.description,
            file_exists_behavior=settings.file_exists_behavior,
            ignore_application_stop_failures=settings.ignore_application_stop_failures,
            update_outdated_instances_only=settings.update_outdated_instances_only,
            options={
                **settings.options,
                "bundle_new": not was_deployed(store, prepared.revision.as_record()),
                "appspec": prepared.appspec,
                "lifecycle_events": events_of(settings.recorded),
                **(more_options or {}),
            },
        ),
    )


def _check_config(settings: Settings, fleet: Fleet, findings: Findings) -> DeploymentConfig | None:
    try:
        config = deployment_config(settings.config)
        minimum_healthy_hosts(config, len(fleet.instances))
        if config.zonal:
            zones_of(config, fleet.zone_of, fleet.zone_order)
    except CodeDeployError as error:
        findings.problems.append(f"{error.code}: {error.message}")
        return None
    return config


def _check_group_free(store: Store, settings: Settings, findings: Findings) -> None:
    active = active_deployment(store, settings.deployment_group_id)
    if active is not None and dead_deployment(store, settings.deployment_group_id) is None:
        findings.problems.append(f"DeploymentLimitExceeded: {active_message(active)}")


def active_message(active: Deployment) -> str:
    """Say which deployment holds a group and who runs it."""
    return (
        f"the deployment group {active.deployment_group_name} already has an active deployment {active.deployment_id}, "
        f"run by {active.owner}; wait until it has ended"
    )
