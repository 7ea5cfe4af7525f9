# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an earlier deployment has left on an instance, and whether one that goes on with it has nothing to do there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from support.deployments import GONE, install_event, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ask_to_start,
    create_deployment,
    get_target,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._event_follower import EventLogPart
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._former_deployment import FormerDeployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance import Instance
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store


class EndedInstance:
    """An instance on which every deployment has ended with success, by its event logs."""

    def read_events(self, _group_id: str, _deployment_id: str) -> EventLogPart:
        return EventLogPart([install_event(), {"finished": True, "status": "Succeeded"}], 0, False, {})


def in_s3(key: str) -> dict[str, Any]:
    """A big object that was sent in parts: nobody knows its digest."""
    location = {"bucket": "releases", "key": key, "bundle_type": "zip"}
    return {"revision_type": "S3", "s3_location": location, "bundle": {"e_tag": f"of {key}-9"}}


@pytest.mark.parametrize(
    ("key", "options", "nothing_to_do"),
    [("1.zip", {}, True), ("2.zip", {}, False), ("1.zip", {"deployment_mode": "RESTART"}, False)],
)
def test_only_the_same_counts_as_done_before(
    store: Store, key: str, options: dict[str, Any], nothing_to_do: bool
) -> None:
    killed = create_deployment(store, replace(request("a", owner=GONE), revision=in_s3("1.zip")))
    ask_to_start(store, killed.deployment_id, "a")
    again = replace(
        request("a", options={"resumed_deployment_id": killed.deployment_id, **options}), revision=in_s3(key)
    )
    deployment = create_deployment(store, again)
    said: list[str] = []
    instance = cast(Instance, EndedInstance())
    former = FormerDeployments(store, deployment, "a", instance, lambda: False, said.append)
    assert former.succeeded_before(killed.deployment_id) is nothing_to_do
    assert get_target(store, killed.deployment_id, "a").status == "Succeeded"
    assert said == [f"a: {killed.deployment_id} had succeeded here, by the instance's own event log"]
