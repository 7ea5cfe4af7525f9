# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and steps that tests of the record have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    Deployment,
    DeploymentRequest,
    Owner,
    ask_to_start,
    create_deployment,
    current_owner,
    finish_instance,
    get_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import deployment_config
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import FinishStatus
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

GROUP_ID = "8c1a5c4e-0000-4000-8000-000000000001"
ELSEWHERE = Owner("controller.example", 4242, "another boot/another namespace/1", "ada", "job 7")

# A process of this host that had this one's number before.
GONE = replace(current_owner(), pid_start=f"{current_owner().pid_start.rpartition('/')[0]}/0")


def revision(number: int) -> dict[str, Any]:
    """A revision from the controller's disk."""
    location = {"path": f"/srv/build/{number}.tgz", "bundle_type": "tgz"}
    return {"revision_type": "Local", "local_location": location, "digest": f"{number:064x}"}


def request(instances: str | list[str], config: Any = "AllAtOnce", number: int = 1, **more: Any) -> DeploymentRequest:
    """A request to deploy revision ``number`` to instances (one letter each when they are a text)."""
    given = {"deployment_group_id": GROUP_ID, "owner": current_owner(), **more}
    return DeploymentRequest(
        application_name="HollowWeb",
        deployment_group_name="production",
        revision=revision(number),
        config=deployment_config(config),
        instances=list(instances),
        **given,
    )


def install_event(status: str = "Succeeded") -> dict[str, Any]:
    """An Install event as an instance reports it."""
    code = "Success" if status == "Succeeded" else "UnknownError"
    diagnostics = {"error_code": code, "script_name": None, "message": None, "log_tail": None}
    return {
        "lifecycle_event_name": "Install",
        "status": status,
        "start_time": 1.5,
        "end_time": 2.5,
        "diagnostics": diagnostics,
    }


def deploy(store: Store, wanted: DeploymentRequest, failing: str | list[str] = "") -> Deployment:
    """Run a deployment one instance after the other until it has ended."""
    deployment = create_deployment(store, wanted)
    for instance in deployment.order:
        if ask_to_start(store, deployment.deployment_id, instance).action == "go":
            status: FinishStatus = "Failed" if instance in failing else "Succeeded"
            finish_instance(store, deployment.deployment_id, instance, status, [install_event(status)])
    return get_deployment(store, deployment.deployment_id)


def make_group(store: Store, group_id: str, health: Mapping[str, bool | None]) -> None:
    """Make a group whose instances have this health; None is that of one that was never deployed to."""
    first = next(iter(health))
    deployment = create_deployment(store, request(list(health), deployment_group_id=group_id, limited_to=[first]))
    finish_instance(store, deployment.deployment_id, first, "Failed")
    with store.transaction() as tx:
        tx.execute_many(
            "UPDATE instances SET healthy = %s WHERE deployment_group_id = %s AND instance = %s",
            [(healthy, group_id, name) for name, healthy in health.items()],
        )
