# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deployment mode RESTART: the installed revision's scripts stop and start the application, nothing is downloaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import Settings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import last_successful_deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import lifecycle_events
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import LAST_SUCCESSFUL
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_settings import is_load_balanced

RESTART = "RESTART"
# CodeDeploy's sources do not list a restart's events; these are what is left without download and installation.
WITHOUT = ("DownloadBundle", "BeforeInstall", "Install", "AfterInstall")


def is_restart(options: Mapping[str, Any]) -> bool:
    """Say whether a deployment restarts the application.

    :param options: of its record.
    """
    return bool(options.get("deployment_mode") == RESTART)


def events_of(options: Mapping[str, Any]) -> list[str]:
    """Return the lifecycle events of a deployment in CodeDeploy's order."""
    events = lifecycle_events(is_load_balanced(options))
    return [event for event in events if event not in WITHOUT] if is_restart(options) else events


def restart(store: Store, settings: Settings) -> Settings:
    """Return the settings of a deployment that restarts the group's last successful revision.

    :raises PreflightError: it cannot be one (CreateDeployment's rules), or there is nothing to restart.
    """
    last = last_successful_deployment(store, settings.deployment_group_id)
    for wrong, text in (
        (settings.revision, "deploy_revision: a restart has no revision of its own; leave it out"),
        (settings.update_outdated_instances_only, "deploy_update_outdated_instances_only: not with a restart"),
        (
            settings.recorded.get("application_stop"),
            "deploy_application_stop: a restart has no new revision that could replace ApplicationStop; deploy the "
            "revision again instead",
        ),
    ):
        if wrong:
            raise PreflightError(text)
    if last is None:
        raise PreflightError(
            "deploy_deployment_mode: there is nothing to restart: no deployment of the group has succeeded"
        )
    # The last successful deployment's, since this one becomes it, and a rollback takes it from there.
    return dataclasses.replace(
        settings,
        revision=LAST_SUCCESSFUL,
        file_exists_behavior=last.file_exists_behavior,
        recorded={**settings.recorded, "appspec_filename": last.options.get("appspec_filename")},
    )
