# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of ansible-playbook with instances that fail, take too long or are not reachable, against the model.

``make rollouts`` runs all cases, which takes hours; else some are run that have in them whatever a case can have.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.applications import Application
from support.controller import Controller
from support.deployments import request
from support.local_fleet import LocalFleet
from support.rollout_cases import RolloutCase, all_cases, most_out_of_service

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import group_id_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ask_to_start,
    create_deployment,
    finish_instance,
    get_deployment,
    get_targets,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

APPLICATION = "HollowWeb"
# Seconds that a script may take: more than one that does nothing but write a line needs on a busy machine.
SCRIPT_SECONDS = 20
LETTERS = {"Succeeded": "S", "Failed": "F", "Skipped": "P"}


def chosen_cases() -> list[RolloutCase]:
    """Give all cases, or some that have every configuration, and every fate, in both rollouts."""
    cases = all_cases()
    random.Random(1).shuffle(cases)
    if "CODEDEPLOY_TEST_ALL_ROLLOUTS" in os.environ:
        return cases
    seen: set[tuple[str, ...]] = set()
    chosen = []
    for case in cases:
        has = {(case.rollout, case.config.partition(",")[0]), *((case.rollout, fate) for fate in case.fates)}
        if has - seen:
            seen |= has
            chosen.append(case)
    return chosen


def application(folder: Path, trace: Path) -> Application:
    """Make a revision whose script does what the file C(fate) of an instance says."""
    line = f'name=$(basename "$(dirname "$DESTINATION_ROOT")"); echo "$1 $name" >> {trace}'
    made = Application(folder, "1", BeforeInstall=f"set -- begin; {line}", ValidateService=f"set -- end; {line}")
    fate = 'case "$(cat "$DESTINATION_ROOT/fate")" in F) exit 1;; T) exec sleep 600;; esac'
    (folder / "scripts/AfterInstall.sh").write_text(f"#!/bin/sh\n{fate}\n")
    (folder / "scripts/AfterInstall.sh").chmod(0o755)
    hook = {"location": "scripts/AfterInstall.sh", "timeout": SCRIPT_SECONDS}
    made.appspec["hooks"] = {**made.appspec["hooks"], "AfterInstall": [hook]}  # type: ignore[dict-item]  # a mapping
    made.write_appspec()
    return made


def make_healthy(controller: Controller, fleet: LocalFleet) -> None:
    """Record that a former deployment has succeeded on all instances, without their hooks being known."""
    store = open_store(str(controller.store))
    wanted = request(fleet.names, deployment_group_id=group_id_of(APPLICATION, fleet.group))
    deployment_id = create_deployment(store, wanted).deployment_id
    for name in fleet.names:
        ask_to_start(store, deployment_id, name)
        finish_instance(store, deployment_id, name, "Succeeded")


@pytest.mark.parametrize("case", chosen_cases(), ids=str)
def test_a_rollout_is_as_the_model_says(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path, case: RolloutCase
) -> None:
    total = len(case.fates)
    fleet = local_fleet(total)
    trace = tmp_path / "trace"
    trace.touch()
    for name, fate in zip(fleet.names, case.fates, strict=True):
        (fleet.files(name) / "fate").write_text(fate)
        if fate == "U":
            fleet.make_unreachable(name)
    if case.healthy:
        make_healthy(controller, fleet)
    variables = {"deploy_application": APPLICATION, "deploy_config": case.config, "deploy_rollout": case.rollout}
    revision = application(tmp_path / "revision", trace).folder
    result = controller.playbook(
        "agentless.codedeploy.deploy",
        fleet.inventory(),
        "--forks",
        str(total),
        deploy_group=fleet.group,
        deploy_revision=revision,
        **variables,
    )

    store = open_store(str(controller.store))
    newest = get_deployment(store, list_deployments(store, limit=1)[0].deployment_id)
    assert newest.order == fleet.names
    ended = {target.target_id: LETTERS[target.status] for target in get_targets(store, newest.deployment_id)}
    letters = "".join(ended[name] for name in fleet.names)
    assert (newest.status, letters) in case.results(), str(result)
    assert result.rc == (0 if newest.status == "Succeeded" else 2), str(result)
    code = (newest.error_information or {}).get("code")
    assert code == (None if newest.status == "Succeeded" else "HEALTH_CONSTRAINTS"), str(result)
    most, fewest = most_out_of_service(trace.read_text().splitlines(), case.healthy, total)
    assert most <= case.window, str(result)
    assert fewest >= (case.minimum if case.healthy else 0), str(result)
