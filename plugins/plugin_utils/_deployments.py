# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The deployment service: everything that the rest of the collection asks of the record, in one place."""

from __future__ import annotations

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._audit import AuditEntry, audit, list_audit
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_creation import create_deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_ending import (
    abandon,
    conclude,
    dead_deployment,
    stop_deployment,
    stop_requested,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_progress import (
    ask_to_start,
    finish_instance,
    heartbeat,
    record_event,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_queries import (
    active_deployment,
    get_deployment,
    get_target,
    get_targets,
    last_successful_deployment,
    last_successful_revision,
    list_deployments,
    takes_part,
    unfinished_deployments,
    up_to_date_instances,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import (
    CodeDeployError,
    DoesNotExist,
    HealthConstraintsInvalid,
    InstanceNotPending,
    InvalidDeploymentConfig,
    InvalidInput,
    NoInstances,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_queue import (
    GroupAwaited,
    Obstacle,
    Waiting,
    ask_for_group,
    leave_group_queue,
    wait_for_group,
    waiting_controllers,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import (
    get_group,
    hooks_of,
    is_registered,
    list_applications,
    list_groups,
    list_revisions,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner, current_owner, process_start
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import (
    Abandoned,
    ActiveDeployment,
    Deployment,
    DeploymentRequest,
    Group,
    Revision,
    Target,
)

__all__ = [
    "Abandoned",
    "ActiveDeployment",
    "AuditEntry",
    "CodeDeployError",
    "Deployment",
    "DeploymentRequest",
    "DoesNotExist",
    "Group",
    "GroupAwaited",
    "HealthConstraintsInvalid",
    "InstanceNotPending",
    "InvalidDeploymentConfig",
    "InvalidInput",
    "NoInstances",
    "Obstacle",
    "Owner",
    "Revision",
    "Target",
    "Waiting",
    "abandon",
    "active_deployment",
    "ask_for_group",
    "ask_to_start",
    "audit",
    "conclude",
    "create_deployment",
    "current_owner",
    "dead_deployment",
    "finish_instance",
    "get_deployment",
    "get_group",
    "get_target",
    "get_targets",
    "heartbeat",
    "hooks_of",
    "is_registered",
    "last_successful_deployment",
    "last_successful_revision",
    "leave_group_queue",
    "list_applications",
    "list_audit",
    "list_deployments",
    "list_groups",
    "list_revisions",
    "process_start",
    "record_event",
    "stop_deployment",
    "stop_requested",
    "takes_part",
    "unfinished_deployments",
    "up_to_date_instances",
    "wait_for_group",
    "waiting_controllers",
]
