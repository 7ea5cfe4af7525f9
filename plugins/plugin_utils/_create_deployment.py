# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create a deployment: settle its settings, resolve its revision, check everything, record it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    active_deployment,
    create_deployment,
    dead_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import (
    DeploymentConfig,
    deployment_config,
    minimum_healthy_hosts,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import (
    Findings,
    PreflightError,
    lifecycle_events,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._recorded_revision import recorded_revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment, DeploymentRequest
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import Revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_check import check_revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

DEFAULT_CONFIG = "CodeDeployDefault.OneAtATime"
FILE_EXISTS_BEHAVIORS = ("DISALLOW", "OVERWRITE", "RETAIN")
ROLLBACK_EVENTS = ("DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST", "DEPLOYMENT_STOP_ON_ALARM")
# Settings of an exported deployment group that this version cannot carry out. To deploy as if they were not there is
# harmless for some; without these an instance would be changed with requests still arriving, or in place.
NOT_SUPPORTED = (
    "alarm_configuration",
    "auto_scaling_groups",
    "ec2_deployment_options",
    "ec2_tag_filters",
    "ec2_tag_set",
    "on_premises_instance_tag_filters",
    "on_premises_tag_set",
    "trigger_configurations",
)
NOT_SUPPORTED_AND_NEEDED = ("blue_green_deployment_configuration", "load_balancer_info")
# Options of the module lifecycle_events that are the same for all instances; without them the module has its defaults.
EVENT_OPTIONS = ("restore_on_failure", "reject_setuid", "ignore_ownership", "archive_limits")
# Group ids follow from the names alone, so that any controller finds what another one installed.
GROUP_NAMESPACE = uuid.UUID("6f3f6a52-5bb1-5c0f-9d4a-0d2f5c1b7e11")


@dataclass(frozen=True)
class Settings:
    """What a deployment is made with, after variables, the group's settings and the defaults have been put together."""

    group: str
    application_name: str
    deployment_group_name: str
    deployment_group_id: str
    revision: str
    appspec_filename: str | None
    config: Any
    file_exists_behavior: str
    ignore_application_stop_failures: bool
    update_outdated_instances_only: bool
    description: str | None
    rollout: str
    auto_rollback_configuration: dict[str, Any]
    event_options: dict[str, Any]
    not_supported: list[str]

    @property
    def request_digest(self) -> str:
        """What was asked to be deployed, without telling it: an address may hold a secret."""
        return hashlib.sha256(self.revision.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Fleet:
    """The instances: the whole group, and those that C(--limit) left (None: all of them)."""

    instances: list[str]
    limited_to: list[str] | None


@dataclass(frozen=True)
class Prepared:
    """A deployment that has been checked and not yet been recorded."""

    settings: Settings
    fleet: Fleet
    revision: Revision
    config: DeploymentConfig
    appspec: dict[str, Any]
    warnings: list[str]


def group_id_of(application_name: str, deployment_group_name: str) -> str:
    """Return the id of a deployment group that has none of its own: a UUIDv5 of the two names."""
    return str(uuid.uuid5(GROUP_NAMESPACE, f"{application_name}/{deployment_group_name}"))


def settle(arguments: Mapping[str, Any], group: str) -> Settings:
    """Put together what was asked for, the group's own settings below it, and the defaults below these.

    :param arguments: of the module M(agentless.codedeploy.deployment); None means not given.
    :param group: name of the Ansible group.
    """
    own: Mapping[str, Any] = (arguments.get("deployment_groups") or {}).get(group) or {}

    def choose(argument: str, setting: str, default: Any) -> Any:
        value = arguments.get(argument)
        value = own.get(setting) if value is None else value
        return default if value is None else value

    application = str(choose("application_name", "application_name", group))
    name = str(own.get("deployment_group_name") or group)
    config = arguments.get("deployment_config") or own.get("deployment_config_name") or DEFAULT_CONFIG
    return Settings(
        group=group,
        application_name=application,
        deployment_group_name=name,
        deployment_group_id=str(choose("deployment_group_id", "deployment_group_id", group_id_of(application, name))),
        revision=str(arguments.get("revision") or ""),
        appspec_filename=choose("appspec_filename", "appspec_filename", None),
        config=config,
        file_exists_behavior=str(choose("file_exists_behavior", "file_exists_behavior", "DISALLOW")),
        ignore_application_stop_failures=bool(
            choose("ignore_application_stop_failures", "ignore_application_stop_failures", False)
        ),
        update_outdated_instances_only=bool(
            choose("update_outdated_instances_only", "update_outdated_instances_only", False)
        ),
        description=arguments.get("description"),
        rollout=str(arguments.get("rollout") or "window"),
        auto_rollback_configuration=dict(choose("auto_rollback_configuration", "auto_rollback_configuration", {})),
        event_options={name: value for name in EVENT_OPTIONS if (value := choose(name, name, None)) is not None},
        not_supported=[name for name in NOT_SUPPORTED_AND_NEEDED + NOT_SUPPORTED if own.get(name)],
    )


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
    store: Store, settings: Settings, fleet: Fleet, headers: dict[str, str], folders: Sequence[str]
) -> Prepared:
    """Check everything that can be checked from the controller, without touching an instance or the record.

    :raises PreflightError: with all findings in one text.
    """
    findings = Findings()
    config = _check_config(settings, fleet, findings)
    _check_group_free(store, settings, findings)
    if settings.file_exists_behavior not in FILE_EXISTS_BEHAVIORS:
        findings.problems.append(
            f"deploy_file_exists_behavior: {settings.file_exists_behavior!r} is none of "
            + ", ".join(FILE_EXISTS_BEHAVIORS)
        )
    findings.problems.extend(_check_auto_rollback(settings.auto_rollback_configuration))
    _check_not_supported(settings, findings)
    last = recorded_revision(store, settings.deployment_group_id, settings.application_name, settings.revision)
    revision, appspec = check_revision(settings.revision, folders, headers, settings.appspec_filename, findings, last)
    if findings.problems or config is None or revision is None:
        raise PreflightError(findings.report())
    return Prepared(settings, fleet, revision, config, appspec, findings.warnings)


def _check_not_supported(settings: Settings, findings: Findings) -> None:
    for name in settings.not_supported:
        text = f"codedeploy_deployment_groups: {name} of the group {settings.group} is not supported in this version"
        if name in NOT_SUPPORTED_AND_NEEDED:
            findings.problems.append(f"{text}; remove it to deploy in place and without steps for traffic")
        else:
            findings.warnings.append(f"{text}, and not read")


def record(
    store: Store,
    prepared: Prepared,
    run: Owner,
    only: list[str] | None = None,
    creator: str = "user",
    rollback_of: str | None = None,
) -> Deployment:
    """Write the deployment into the store, all its instances Pending.

    :param only: the instances that a rollback concerns.
    :param rollback_of: id of the deployment that this one rolls back.
    :raises CodeDeployError: when the group has become busy in the meantime.
    """
    settings = prepared.settings
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
            only=only,
            creator=creator,
            rollback_of=rollback_of,
            description=settings.description,
            file_exists_behavior=settings.file_exists_behavior,
            ignore_application_stop_failures=settings.ignore_application_stop_failures,
            update_outdated_instances_only=settings.update_outdated_instances_only,
            options={
                "appspec": prepared.appspec,
                "appspec_filename": settings.appspec_filename,
                "lifecycle_events": lifecycle_events(),
                "rollout": settings.rollout,
                "event_options": settings.event_options,
                "deployment_group": settings.group,
                "request_digest": settings.request_digest,
                "auto_rollback_configuration": settings.auto_rollback_configuration,
            },
        ),
    )


def _check_config(settings: Settings, fleet: Fleet, findings: Findings) -> DeploymentConfig | None:
    try:
        config = deployment_config(settings.config)
        minimum_healthy_hosts(config, len(fleet.instances))
    except CodeDeployError as error:
        findings.problems.append(f"{error.code}: {error.message}")
        return None
    return config


def _check_auto_rollback(configuration: Mapping[str, Any]) -> list[str]:
    events = configuration.get("events") or []
    if not isinstance(events, (list, tuple)):
        return ["deploy_auto_rollback_configuration: events must be a list"]
    unknown = [str(event) for event in events if event not in ROLLBACK_EVENTS]
    if not unknown:
        return []
    return [f"deploy_auto_rollback_configuration: {', '.join(unknown)}: the events are {', '.join(ROLLBACK_EVENTS)}"]


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
