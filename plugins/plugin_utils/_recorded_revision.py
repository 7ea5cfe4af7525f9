# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Revisions that are named by what the record says of them: the last successful one, the newest, a deployment's."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    get_deployment,
    last_successful_revision,
    list_deployments,
    list_revisions,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import revision_identity
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import DEPLOYMENT_ID, LATEST, PREVIOUS
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store


def recorded_revision(
    store: Store, deployment_group_id: str, application_name: str, text: str
) -> dict[str, Any] | None:
    """Return the recorded revision that a text names; of any other text the group's last successful one.

    :param text: C(previous), C(latest), a deployment id, or anything else that deploy_revision may be.
    :returns: None when the group has no such revision.
    :raises DoesNotExist: there is no deployment of this id.
    :raises InvalidInput: it is a deployment of another application.
    """
    text = text.strip()
    if DEPLOYMENT_ID.match(text):
        deployment = get_deployment(store, text, with_order=False)
        if deployment.application_name != application_name:
            raise InvalidInput(
                f"Deployment {text} is one of application {deployment.application_name}, not of {application_name}."
            )
        return deployment.revision
    if text == PREVIOUS:
        return _previous(store, deployment_group_id)
    if text == LATEST:
        registered = list_revisions(store, application_name, descending=True)
        return registered[0].revision if registered else None
    return last_successful_revision(store, deployment_group_id)


def _previous(store: Store, deployment_group_id: str) -> dict[str, Any] | None:
    """Return the last successful revision after a failure, and the one that it replaced after a success."""
    current = last_successful_revision(store, deployment_group_id)
    ended = [
        deployment
        for deployment in list_deployments(store, deployment_group_id=deployment_group_id, with_order=False)
        if deployment.complete_time is not None and not deployment.limited
    ]
    if current is None or not ended or ended[0].status != "Succeeded":
        return current
    for deployment in ended:
        if deployment.status == "Succeeded" and revision_identity(deployment.revision) != revision_identity(current):
            return deployment.revision
    return None
