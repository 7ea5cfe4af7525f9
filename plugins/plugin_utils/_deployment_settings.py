# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of a deployment: what was asked for, below it the group's own settings, below these the defaults.

To add a setting: a line in SETTINGS, the option in the documentation of the module M(agentless.codedeploy.deployment),
a variable C(deploy_NAME) in roles/deploy (tasks/create.yml, meta/argument_specs.yml) and in docs/playbooks.md. A
setting that is C(recorded) is in the deployment's C(options) under its name, for what reads it later: the work on an
instance, a rollback, another controller.
"""

from __future__ import annotations

import dataclasses
import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._alarms import alarm_problems
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._auto_scaling import ec2_options_problems
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AWS_ARGUMENTS, AwsSettings, is_aws_needed
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput, PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_settings import (
    own_settings,
    unknown_settings,
    with_switches,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._input_rules import check_description, check_name
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._notifications import trigger_problems
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_access import (
    DOWNLOADS,
    SECRET_ARGUMENTS,
    RevisionAccess,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_text import (
    BUNDLE_TYPES,
    RevisionTextError,
    revision_text,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_settings import (
    load_balancer_problems,
    traffic_problems,
)

DEFAULT_CONFIG = "CodeDeployDefault.OneAtATime"
FILE_EXISTS_BEHAVIORS = ("DISALLOW", "OVERWRITE", "RETAIN")
ROLLBACK_EVENTS = ("DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST", "DEPLOYMENT_STOP_ON_ALARM")
# Options of the module lifecycle_events that are the same for all instances; without them the module has its defaults.
EVENT_OPTIONS = ("restore_on_failure", "reject_setuid", "ignore_ownership", "archive_limits")
# Group ids follow from the names alone, so that any controller finds what another one installed.
GROUP_NAMESPACE = uuid.UUID("6f3f6a52-5bb1-5c0f-9d4a-0d2f5c1b7e11")
# Settings of an exported deployment group that this version cannot carry out. To deploy as if they were not there is
# harmless for some; without these an instance would be changed in place that is to be left as it is.
NOT_SUPPORTED: tuple[str, ...] = ()
NOT_SUPPORTED_AND_NEEDED = ("blue_green_deployment_configuration",)


@dataclass(frozen=True)
class Setting:
    """One setting that a group can have and a run can override.

    :param name: of the argument of the module M(agentless.codedeploy.deployment), and in the record's C(options).
    :param type: of that argument.
    :param default: when neither the run nor the group says anything.
    :param group_setting: its name among the group's settings, when that is another.
    :param recorded: it goes into the deployment's C(options), when it has a value other than None.
    :param check: says what is wrong with a value, one sentence a problem.
    """

    name: str
    type: str
    default: Any = None
    group_setting: str | None = None
    recorded: bool = False
    check: Callable[[Any], list[str]] | None = None

    def chosen(self, arguments: Mapping[str, Any], group: Mapping[str, Any]) -> Any:
        """Return the value: a deployment's own one replaces the group's as a whole (CreateDeployment), never merged."""
        for value in (arguments.get(self.name), group.get(self.group_setting or self.name)):
            if value is not None and value != "":
                return value
        return self.default


def check_auto_rollback(configuration: Any) -> list[str]:
    """Say what is wrong with an auto_rollback_configuration."""
    events = configuration.get("events") or []
    if not isinstance(events, (list, tuple)):
        return ["deploy_auto_rollback_configuration: events must be a list"]
    problems, known = [], f"the events are {', '.join(ROLLBACK_EVENTS)}"
    unknown = [str(event) for event in events if event not in ROLLBACK_EVENTS]
    if unknown:
        problems.append(f"{', '.join(unknown)}: {known}")
    if configuration.get("enabled") and not events:
        problems.append(f"InvalidAutoRollbackConfig: it is enabled and names no events; {known}")
    strange = [str(name) for name in configuration if name not in ("enabled", "events")]
    if strange:
        problems.append(f"{', '.join(strange)}: it has enabled and events")
    return [f"deploy_auto_rollback_configuration: {problem}" for problem in problems]


def check_file_exists_behavior(value: Any) -> list[str]:
    """Say what is wrong with a file_exists_behavior."""
    if value in FILE_EXISTS_BEHAVIORS:
        return []
    return [f"deploy_file_exists_behavior: {value!r} is none of " + ", ".join(FILE_EXISTS_BEHAVIORS)]


def check_download(value: Any) -> list[str]:
    """Say what is wrong with a way to the instances."""
    return [] if value in DOWNLOADS else [f"deploy_download: {value!r} is none of {', '.join(DOWNLOADS)}"]


def check_bundle_type(value: Any) -> list[str]:
    """Say what is wrong with a kind of bundle."""
    return [] if value in BUNDLE_TYPES else [f"deploy_bundle_type: {value!r} is none of {', '.join(BUNDLE_TYPES)}"]


def check_alarms(configuration: Any) -> list[str]:
    """Say what is wrong with an alarm_configuration."""
    return [f"deploy_alarm_configuration: {code}: {text}" for code, text in alarm_problems(configuration)]


def check_triggers(configurations: Any) -> list[str]:
    """Say what is wrong with trigger_configurations."""
    return [f"deploy_trigger_configurations: {code}: {text}" for code, text in trigger_problems(configurations)]


SETTINGS = (
    Setting("application_name", "str"),
    Setting("deployment_group_id", "str"),
    Setting("appspec_filename", "str", recorded=True),
    Setting("deployment_config", "raw", DEFAULT_CONFIG, "deployment_config_name", recorded=True),
    Setting("file_exists_behavior", "str", "DISALLOW", check=check_file_exists_behavior),
    Setting("ignore_application_stop_failures", "bool", False),
    Setting("update_outdated_instances_only", "bool", False),
    Setting("auto_rollback_configuration", "dict", {}, recorded=True, check=check_auto_rollback),
    Setting("load_balancer_info", "dict", recorded=True, check=load_balancer_problems),
    Setting("traffic", "list", recorded=True, check=traffic_problems),
    Setting("block_traffic_timeout", "float", recorded=True),
    Setting("allow_traffic_timeout", "float", recorded=True),
    Setting("reregister_on_failure", "bool", recorded=True),
    Setting("alarm_configuration", "dict", recorded=True, check=check_alarms),
    Setting("alarm_poll_interval", "int", recorded=True),
    Setting("trigger_configurations", "list", recorded=True, check=check_triggers),
    Setting("event_bus_name", "str", recorded=True),
    Setting("auto_scaling_groups", "list", recorded=True),
    Setting("ec2_deployment_options", "dict", recorded=True, check=ec2_options_problems),
    Setting("restore_on_failure", "bool"),
    Setting("reject_setuid", "bool"),
    Setting("ignore_ownership", "bool"),
    Setting("archive_limits", "dict"),
    Setting("download", "str", recorded=True, check=check_download),
    Setting("bundle_type", "str", recorded=True, check=check_bundle_type),
    Setting("github_api_url", "str", recorded=True),
)
# An option of the run alone; a group has none.
RUN_ARGUMENTS: dict[str, dict[str, Any]] = {
    "revision": {"type": "raw"},
    "description": {"type": "str"},
    "automatic_rollback": {"type": "bool", "default": False},
    "application_stop": {"type": "str"},
    "deployment_mode": {"type": "str", "choices": ["STANDARD", "RESTART"], "default": "STANDARD"},
    "rollout": {"type": "str", "choices": ["window", "batches"], "default": "window"},
}


@dataclass(frozen=True)
class Settings:
    """What a deployment is made with, after variables, the group's settings and the defaults have been put together.

    C(recorded) are the settings that go into the deployment's C(options), by their names; C(secrets) are arguments
    that go nowhere, see secrets_of(); C(automatic_rollback) says that a later play of the same run makes the rollback
    when it is due.
    """

    group: str
    application_name: str
    deployment_group_name: str
    deployment_group_id: str
    revision: str
    file_exists_behavior: str
    ignore_application_stop_failures: bool
    update_outdated_instances_only: bool
    description: str | None
    rollout: str
    event_options: dict[str, Any]
    not_supported: list[str]
    automatic_rollback: bool
    recorded: dict[str, Any]
    secrets: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def access(self) -> RevisionAccess:
        """What it takes to get at a revision."""
        return RevisionAccess.of({**self.recorded, **self.secrets})

    @property
    def config(self) -> Any:
        """The deployment configuration as it was given: a name or a mapping."""
        return self.recorded["deployment_config"]

    @property
    def appspec_filename(self) -> str | None:
        """Path of the AppSpec in the bundle, None for the usual one."""
        return self.recorded.get("appspec_filename")

    @property
    def request_digest(self) -> str:
        """What was asked to be deployed, without telling it: an address may hold a secret."""
        return hashlib.sha256(self.revision.encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def options(self) -> dict[str, Any]:
        """What the record keeps of the settings beside its columns; settings_of() reads it."""
        return {
            **self.recorded,
            "rollout": self.rollout,
            "automatic_rollback": self.automatic_rollback,
            "event_options": self.event_options,
            "deployment_group": self.group,
            "request_digest": self.request_digest,
        }

    def problems(self) -> list[str]:
        """Say what is wrong with the settings, one sentence a problem."""
        values = {"file_exists_behavior": self.file_exists_behavior, **self.recorded}
        checks = [(setting.check, values[setting.name]) for setting in SETTINGS if setting.name in values]
        found = [problem for check, value in checks if check is not None for problem in check(value)]
        return found + self._broken_rules()

    def _broken_rules(self) -> list[str]:
        """Return what the record would refuse, so that a plan and check mode tell of it as well."""
        rules = (
            lambda: check_name("Application", self.application_name),
            lambda: check_name("DeploymentGroup", self.deployment_group_name),
            lambda: check_description(self.description),
        )
        broken = []
        for rule in rules:
            try:
                rule()
            except InvalidInput as error:
                broken.append(f"{error.code}: {error.message}")
        return broken


def arguments_of_settings() -> dict[str, dict[str, Any]]:
    """Return the argument specification of all settings."""
    settings = {setting.name: {"type": setting.type} for setting in SETTINGS}
    return {**settings, **RUN_ARGUMENTS, **SECRET_ARGUMENTS, **AWS_ARGUMENTS}


def secrets_of(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return what a task was given to get at a revision and nobody may see."""
    return {name: str(arguments[name]) for name in SECRET_ARGUMENTS if arguments.get(name)}


def group_id_of(application_name: str, deployment_group_name: str) -> str:
    """Return the id of a deployment group that has none of its own: a UUIDv5 of the two names."""
    return str(uuid.uuid5(GROUP_NAMESPACE, f"{application_name}/{deployment_group_name}"))


def settle(arguments: Mapping[str, Any], group: str) -> Settings:
    """Put together what was asked for, the group's own settings below it, and the defaults below these.

    :param arguments: of the module M(agentless.codedeploy.deployment); None means not given.
    :param group: name of the Ansible group.
    :raises PreflightError: what is to be deployed names no revision.
    """
    types = {setting.group_setting or setting.name: setting.type for setting in SETTINGS}
    own = own_settings(arguments.get("deployment_groups"), group, types)
    chosen = {setting.name: with_switches(setting.name, setting.chosen(arguments, own)) for setting in SETTINGS}
    application = str(chosen["application_name"] or group)
    name = str(own.get("deployment_group_name") or group)
    effective = {**own, **{name: value for name, value in chosen.items() if value is not None}}
    recorded = {
        setting.name: chosen[setting.name]
        for setting in SETTINGS
        if setting.recorded and chosen[setting.name] is not None
    }
    if arguments.get("application_stop"):
        # For one deployment alone: no group has it, and no rollback or resumed deployment takes it over.
        recorded["application_stop"] = str(arguments["application_stop"])
    if arguments.get("deployment_mode") == "RESTART":
        # The record of a standard deployment has no such field.
        recorded["deployment_mode"] = "RESTART"
    revision = _revision(arguments.get("revision"))
    aws = _aws_settings(arguments, effective, revision)
    return Settings(
        group=group,
        application_name=application,
        deployment_group_name=name,
        deployment_group_id=str(chosen["deployment_group_id"] or group_id_of(application, name)),
        revision=revision,
        file_exists_behavior=str(chosen["file_exists_behavior"]),
        ignore_application_stop_failures=bool(chosen["ignore_application_stop_failures"]),
        update_outdated_instances_only=bool(chosen["update_outdated_instances_only"]),
        description=arguments.get("description"),
        rollout=str(arguments.get("rollout") or "window"),
        event_options={name: chosen[name] for name in EVENT_OPTIONS if chosen[name] is not None},
        not_supported=[
            *(name for name in NOT_SUPPORTED_AND_NEEDED + NOT_SUPPORTED if effective.get(name)),
            *unknown_settings(own, [*types, *(setting.name for setting in SETTINGS)]),
        ],
        automatic_rollback=bool(arguments.get("automatic_rollback")),
        recorded={**recorded, "aws": aws} if aws else recorded,
        secrets=secrets_of(arguments),
    )


def _revision(revision: Any) -> str:
    try:
        return revision_text(revision)
    except RevisionTextError as error:
        raise PreflightError(f"deploy_revision: {error}") from error


def _aws_settings(arguments: Mapping[str, Any], effective: Mapping[str, Any], revision: str) -> dict[str, Any]:
    """Return how AWS is reached, without secrets, when a deployment needs it or the run says it."""
    said = any(arguments.get(name) is not None for name in AWS_ARGUMENTS)
    if said or effective.get("event_bus_name") or is_aws_needed(effective, revision):
        return AwsSettings.from_arguments(arguments, effective).public
    return {}


def resettle(former: Deployment, arguments: Mapping[str, Any]) -> Settings:
    """Return settings for a deployment that goes on with another one: its own, and before them what this run says.

    :param arguments: of the module M(agentless.codedeploy.deployment), for this run.
    """
    before, options = settings_of(former), former.options
    values: dict[str, Any] = {**options, **before.event_options, **dataclasses.asdict(before)}
    own = {setting.group_setting or setting.name: values.get(setting.name) for setting in SETTINGS}
    own.update(before.recorded.get("aws") or {}, deployment_group_name=before.deployment_group_name)
    own["deployment_config_name"] = before.config
    groups = {before.group: {name: value for name, value in own.items() if value is not None}}
    return settle({**arguments, "deployment_groups": groups, "revision": None}, before.group)


def settings_of(deployment: Deployment) -> Settings:
    """Return the settings that a recorded deployment was made with, for one that is made because of it.

    Its revision is not among them; the description is the other deployment's own matter.
    """
    options = deployment.options
    names = [*(setting.name for setting in SETTINGS if setting.recorded), "aws"]
    recorded = {name: options[name] for name in names if options.get(name) is not None}
    recorded.setdefault("deployment_config", deployment.deployment_config_name)
    recorded.setdefault("auto_rollback_configuration", {})
    return Settings(
        group=str(options.get("deployment_group") or deployment.deployment_group_name),
        application_name=deployment.application_name,
        deployment_group_name=deployment.deployment_group_name,
        deployment_group_id=deployment.deployment_group_id,
        revision="",
        file_exists_behavior=deployment.file_exists_behavior,
        ignore_application_stop_failures=deployment.ignore_application_stop_failures,
        update_outdated_instances_only=deployment.update_outdated_instances_only,
        description=None,
        rollout=str(options.get("rollout") or "window"),
        event_options=dict(options.get("event_options") or {}),
        not_supported=[],
        automatic_rollback=False,
        recorded=recorded,
    )
