# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes into a deployment and what the store gives back, with the fields and states of CodeDeploy's records."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import DeploymentConfig, RevisionHealth
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner, is_dead
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._zones import Zone

DeploymentStatus = t.Literal["Created", "Queued", "InProgress", "Baking", "Ready", "Succeeded", "Failed", "Stopped"]
TargetStatus = t.Literal["Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Unknown"]
FinishStatus = t.Literal["Succeeded", "Failed", "Unknown"]

LIFECYCLE_EVENTS = (
    "BeforeBlockTraffic",
    "BlockTraffic",
    "AfterBlockTraffic",
    "ApplicationStop",
    "DownloadBundle",
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
    "BeforeAllowTraffic",
    "AllowTraffic",
    "AfterAllowTraffic",
)

JSONObject = dict[str, t.Any]


@dataclass(frozen=True)
class DeploymentRequest:
    """CreateDeployment's input.

    ``instances`` is the whole deployment group in the inventory's order; its size decides how many must stay healthy.
    ``limited_to`` are those that ``--limit`` left (a deployment to some of them moves none of the group's revision
    pointers); ``only`` restricts a deployment of the whole group to some instances (those that a rollback concerns) and
    does move them. ``revision`` is a mapping with ``revision_type``, the location in CodeDeploy's shape
    (``s3_location``, ...) and, where known, ``digest`` and ``description``; it must hold no secret. ``zone_of`` says
    the zone of each instance of the group and ``zone_order`` the order of the zones, for a zonal configuration alone.
    """

    application_name: str
    deployment_group_name: str
    deployment_group_id: str
    revision: JSONObject
    config: DeploymentConfig
    instances: list[str]
    owner: Owner
    limited_to: list[str] | None = None
    only: list[str] | None = None
    description: str | None = None
    creator: str = "user"
    file_exists_behavior: str = "DISALLOW"
    ignore_application_stop_failures: bool = False
    update_outdated_instances_only: bool = False
    rollback_of: str | None = None
    zone_of: dict[str, str] = field(default_factory=dict)
    zone_order: list[str] = field(default_factory=list)
    options: JSONObject = field(default_factory=dict)


@dataclass(frozen=True)
class Abandoned:
    """A deployment whose controller died, and the instances that were in work then: ask them for their event logs."""

    deployment_id: str
    owner: Owner
    unfinished: list[str]


@dataclass(frozen=True)
class Deployment:
    """The record of one deployment (DeploymentInfo). Times are epoch seconds.

    ``total`` is the size of the whole group, ``window`` how many may be out of service at once, ``batch_size`` the
    same but not more than the deployment has instances; ``order`` lists the deployment's instances as they are to be
    started, and ``zone_instances`` counts them by zone.
    ``abandoned`` is set by create_deployment() alone. ``stop_rollback`` is StopDeployment's autoRollbackEnabled:
    whether it is to be rolled back after it was stopped, None when nobody said. ``stopping`` is whether it was asked
    to stop. ``read_time`` is when this was read, by the record's clock as all times are.
    """

    deployment_id: str
    deployment_group_id: str
    application_name: str
    deployment_group_name: str
    deployment_config_name: str
    status: DeploymentStatus
    error_information: JSONObject | None
    revision: JSONObject
    previous_revision: JSONObject | None
    create_time: float
    start_time: float | None
    complete_time: float | None
    deployment_overview: dict[str, int]
    description: str | None
    creator: str
    file_exists_behavior: str
    ignore_application_stop_failures: bool
    update_outdated_instances_only: bool
    limited: bool
    options: JSONObject
    rollback_info: JSONObject | None
    total: int
    minimum_healthy_hosts: int
    window: int
    batch_size: int
    order: list[str]
    owner: Owner
    heartbeat: float
    read_time: float = field(compare=False)
    zones: list[Zone] = field(default_factory=list)
    zone_instances: dict[str, int] = field(default_factory=dict)
    abandoned: Abandoned | None = None
    stop_rollback: bool | None = None
    stopping: bool = False

    @property
    def active(self) -> bool:
        """Whether the deployment still holds its group."""
        return self.complete_time is None

    @property
    def controller_gone(self) -> bool:
        """Whether its controller had certainly ended when this was read."""
        return is_dead(self.owner, self.heartbeat, self.read_time)


@dataclass(frozen=True)
class Target:
    """One instance of a deployment (InstanceTarget)."""

    deployment_id: str
    target_id: str
    status: TargetStatus
    start_time: float | None
    last_updated_at: float
    message: str | None
    lifecycle_events: list[JSONObject]
    zone: str | None = None


@dataclass(frozen=True)
class Group:
    """A deployment group with its three revision pointers and the health of its instances.

    Its settings are those of the last attempted deployment.
    """

    deployment_group_id: str
    application_name: str
    deployment_group_name: str
    target_revision: JSONObject | None
    last_successful_deployment: JSONObject | None
    last_attempted_deployment: JSONObject | None
    instances: dict[str, tuple[bool | None, RevisionHealth]]
    deployment_config_name: str | None = None
    options: JSONObject = field(default_factory=dict)


@dataclass(frozen=True)
class Application:
    """An application (ApplicationInfo); ``create_time`` in epoch seconds."""

    application_id: str
    application_name: str
    create_time: float


@dataclass(frozen=True)
class Revision:
    """A registered revision (GenericRevisionInfo); ``deployment_groups`` are those whose target revision it is."""

    application_name: str
    revision: JSONObject
    description: str | None
    register_time: float
    first_used_time: float | None
    last_used_time: float | None
    deployment_groups: list[str]


class ActiveDeployment(CodeDeployError):
    """The deployment group already has an active deployment, run by a controller that lives."""

    code = "DeploymentLimitExceeded"

    def __init__(self, deployment_group_name: str, deployment_id: str, owner: Owner) -> None:
        super().__init__(
            f"The deployment group {deployment_group_name!r} already has an active deployment {deployment_id}, run by "
            f"{owner}. Wait for it to end, or stop it."
        )
        self.deployment_id = deployment_id
        self.owner = owner
