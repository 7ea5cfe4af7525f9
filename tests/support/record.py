# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a controller's record through the status playbook, as a user does."""

from __future__ import annotations

import json
from typing import Any

from support.controller import Controller


def status(controller: Controller, **variables: object) -> dict[str, Any]:
    """Return what the status playbook writes as JSON; keywords are its variables."""
    path = controller.home / "status.json"
    arguments = {"status_format": "json", "status_path": str(path), **variables}
    extra = json.dumps(arguments, default=str)
    result = controller.run("ansible-playbook", "agentless.codedeploy.status", "--extra-vars", extra)
    assert result.rc == 0, str(result)
    return dict(json.loads(path.read_text()))


def deployments(controller: Controller) -> list[dict[str, Any]]:
    """Return all recorded deployments, newest first."""
    return list(status(controller)["deploymentsInfo"])


def statuses(controller: Controller, deployment_id: str) -> dict[str, str]:
    """Return the status of each instance of a deployment."""
    targets = status(controller, deployment_id=deployment_id)["deploymentTargets"]
    return {target["instanceTarget"]["targetId"]: target["instanceTarget"]["status"] for target in targets}


def events(controller: Controller, deployment_id: str, instance: str) -> dict[str, dict[str, Any]]:
    """Return the lifecycle events of one instance of a deployment by name."""
    (target,) = status(controller, deployment_id=deployment_id, instance=instance)["deploymentTargets"]
    return {event["lifecycleEventName"]: event for event in target["instanceTarget"]["lifecycleEvents"]}
