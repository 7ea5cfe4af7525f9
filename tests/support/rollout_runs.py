# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many rollouts to small fleets, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from support.applications import Application
from support.controller import Controller
from support.deployments import request
from support.local_fleet import LocalFleet
from support.many_playbooks import PlaybookRun, run_playbooks
from support.rollout_cases import LARGEST, RolloutCase, most_out_of_service

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import group_id_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ask_to_start,
    create_deployment,
    finish_instance,
    get_deployment,
    get_targets,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store

APPLICATION = "HollowWeb"
# Seconds that a script may take: more than one that does nothing but write a line needs on a busy machine.
SCRIPT_SECONDS = 20
LETTERS = {"Succeeded": "S", "Failed": "F", "Skipped": "P"}
# What every script knows: the instance's name, and the file that all instances of its group write to.
INSTANCE = 'instance="${DESTINATION_ROOT%/files}"; name="${instance##*/}"; trace="${instance%/*}/trace"'


def application(folder: Path) -> Path:
    """Make a revision whose scripts say when an instance begins and ends, and do what its file C(fate) says."""
    fate = 'read -r fate < "$DESTINATION_ROOT/fate"; case "$fate" in F) exit 1;; T) exec sleep 600;; esac'
    begin, end = (f'echo "{what} $name" >> "$trace"' for what in ("begin", "end"))
    made = Application(folder, "1", BeforeInstall=f"{INSTANCE}; {begin}", ValidateService=f"{INSTANCE}; {fate}; {end}")
    hook = {"location": "scripts/ValidateService.sh", "timeout": SCRIPT_SECONDS}
    made.appspec["hooks"] = {**made.appspec["hooks"], "ValidateService": [hook]}  # type: ignore[dict-item]  # a mapping
    made.write_appspec()
    return made.folder


class RolloutRuns:
    """Runs of the deploy playbook, each of one case with a fleet and a record of its own.

    :param folder: an empty one for all that the instances and the runs have.
    """

    def __init__(self, controller: Controller, folder: Path, cases: Sequence[RolloutCase]) -> None:
        self._controller = controller
        self._folder = folder
        self._cases = [(case, self._fleet(number, case)) for number, case in enumerate(cases)]
        self._revision = application(folder / "revision")

    def differences(self, at_once: int) -> list[str]:
        """Deploy, several cases at once, and return what is not as the model says."""
        environment = {**self._controller.environment, "ANSIBLE_PIPELINING": "1"}
        statuses = run_playbooks([self._run(case, fleet) for case, fleet in self._cases], at_once, environment)
        return [
            f"{case}: {text} ({fleet.directory}/output)"
            for (case, fleet), status in zip(self._cases, statuses, strict=True)
            for text in _differences(self._store(fleet), case, fleet, status)
        ]

    def _fleet(self, number: int, case: RolloutCase) -> LocalFleet:
        directory = self._folder / f"case{number}"
        directory.mkdir()
        (directory / "trace").touch()
        fleet = LocalFleet(len(case.fates), directory)
        for place, (name, fate) in enumerate(zip(fleet.names, case.fates, strict=True)):
            (fleet.files(name) / "fate").write_text(f"{fate}\n")
            if case.zoned:
                fleet.host_variables[name]["deploy_zone"] = f"zone {case.zoned.zone_of(place)}"
            if fate == "U":
                fleet.make_unreachable(name)
        if case.healthy:
            _make_healthy(self._store(fleet), fleet)
        return fleet

    def _store(self, fleet: LocalFleet) -> Store:
        return open_store(str(fleet.directory / "deployments.sqlite"))

    def _run(self, case: RolloutCase, fleet: LocalFleet) -> PlaybookRun:
        arguments = self._controller.playbook_arguments(
            "agentless.codedeploy.deploy",
            fleet.inventory(),
            "--forks",
            str(LARGEST),
            deploy_group=fleet.group,
            deploy_application=APPLICATION,
            deploy_revision=self._revision,
            deploy_config=case.given_config(),
            deploy_rollout=case.rollout,
        )
        record = {"CODEDEPLOY_STORE": self._store(fleet).location}
        return PlaybookRun(arguments, record, str(fleet.directory / "output"))


def _make_healthy(store: Store, fleet: LocalFleet) -> None:
    """Record that a former deployment has succeeded on all instances, without their hooks being known."""
    wanted = request(fleet.names, deployment_group_id=group_id_of(APPLICATION, fleet.group))
    deployment_id = create_deployment(store, wanted).deployment_id
    for name in fleet.names:
        ask_to_start(store, deployment_id, name)
        finish_instance(store, deployment_id, name, "Succeeded")


def _differences(store: Store, case: RolloutCase, fleet: LocalFleet, exit_status: int) -> list[str]:
    group_id = group_id_of(APPLICATION, fleet.group)
    deployments = list_deployments(store, deployment_group_id=group_id, limit=10)
    if len(deployments) != 1 + case.healthy:
        return [f"{len(deployments)} deployments"]
    newest = get_deployment(store, deployments[0].deployment_id)
    if newest.order != fleet.names:
        return [f"order {newest.order}"]
    ended = {target.target_id: LETTERS.get(target.status, "?") for target in get_targets(store, newest.deployment_id)}
    found = (newest.status, "".join(ended[name] for name in fleet.names))
    differences = [] if found == case.result() else [f"{found}, not {case.result()}"]
    if exit_status != (0 if newest.status == "Succeeded" else 2):
        differences.append(f"exit status {exit_status}")
    code = (newest.error_information or {}).get("code")
    if code != (None if newest.status == "Succeeded" else "HEALTH_CONSTRAINTS"):
        differences.append(f"error code {code}")
    lines = (fleet.directory / "trace").read_text().splitlines()
    for of_zone in range(len(case.zoned.sizes)) if case.zoned else ():
        assert case.zoned is not None
        names = [fleet.names[place] for place in case.zoned.places(of_zone)]
        inside = [line for line in lines if line.split()[1] in names]
        differences += _broken_promises(inside, case.healthy, len(names), case.zoned.minimum)
    differences += _broken_promises(lines, case.healthy, len(fleet.names), case.minimum)
    return differences


def _broken_promises(lines: list[str], healthy: bool, total: int, minimum: int) -> list[str]:
    most, fewest = most_out_of_service(lines, healthy, total)
    broken = [f"{most} out of service of at most {total - minimum}"] if most > total - minimum else []
    if healthy and fewest < minimum:
        broken.append(f"{fewest} in service of at least {minimum}")
    return broken
