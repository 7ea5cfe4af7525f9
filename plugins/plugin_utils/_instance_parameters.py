# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module lifecycle_events is told for one instance of a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._application_stop import (
    events_on_the_instance,
    script_of,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance import Instance
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_bundle import bring_bundle


@dataclass(frozen=True)
class InstanceOptions:
    """How to work on one instance; the rest is in the deployment's record.

    :param revision: what the user typed; an address is downloaded by the instance itself.
    :param revision_headers: HTTP headers for that address; secret.
    """

    root: str
    destination_root: str
    revisions_to_keep: int
    poll_after: int
    revision: str
    revision_headers: dict[str, str]


def event_parameters(deployment: Any, options: InstanceOptions, bundle: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of the module M(agentless.codedeploy.lifecycle_events) for one instance.

    :param deployment: the recorded deployment, or one that has its attributes (check mode).
    """
    parameters = {
        "deployment_id": deployment.deployment_id,
        "deployment_group_id": deployment.deployment_group_id,
        "deployment_group_name": deployment.deployment_group_name,
        "application_name": deployment.application_name,
        "deployment_creator": deployment.creator,
        "revision": deployment.revision,
        "bundle": bundle,
        "appspec": deployment.options["appspec"],
        "events": events_on_the_instance(deployment.options, deployment.options["lifecycle_events"]),
        "file_exists_behavior": deployment.file_exists_behavior,
        "ignore_application_stop_failures": deployment.ignore_application_stop_failures,
        "root": options.root,
        "destination_root": options.destination_root,
        "revisions_to_keep": options.revisions_to_keep,
        "wait": options.poll_after,
        **deployment.options.get("event_options", {}),
    }
    if _is_restart(deployment):
        parameters["deployment_mode"] = "RESTART"
        del parameters["bundle"]
    script = script_of(deployment.options)
    if script:
        parameters["application_stop_script"] = script
    if deployment.options.get("appspec_filename"):
        parameters["appspec_filename"] = deployment.options["appspec_filename"]
    return parameters


def bundle_of(deployment: Any, instance: Instance, options: InstanceOptions) -> dict[str, Any]:
    """Bring the bundle of a deployment to an instance and return the module's parameter for it.

    :raises InstanceError: when this controller no longer has it.
    :raises AwsError: it is in S3, and there are no credentials to sign an address with.
    """
    if _is_restart(deployment):
        return {}
    return bring_bundle(instance, deployment.revision, deployment.options, options.revision, options.revision_headers)


def _is_restart(deployment: Any) -> bool:
    # Of _restart, which imports what no instance's task needs.
    return bool(deployment.options.get("deployment_mode") == "RESTART")
