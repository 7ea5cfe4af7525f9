# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a deployment that every instance gets: restoring after a failure, and what a bundle may hold."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.applications import Application, installed_version
from support.controller import Controller, Result
from support.local_fleet import LocalFleet
from support.record import deployments, statuses

Fleets = Callable[..., LocalFleet]


def deploy(controller: Controller, fleet: LocalFleet, revision: Path, **variables: object) -> Result:
    """Run the deploy playbook."""
    variables = {"deploy_group": fleet.group, "deploy_revision": revision, **variables}
    return controller.playbook("agentless.codedeploy.deploy", fleet.inventory(), **variables)


def test_a_failure_puts_the_previous_revision_back(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    start = 'echo "start of $DEPLOYMENT_ID" >> "$DESTINATION_ROOT/log"'
    first = Application(tmp_path / "first", "1", ApplicationStart=start)
    second = Application(tmp_path / "second", "2", ApplicationStart="exit 9")
    assert deploy(controller, fleet, first.folder).rc == 0
    result = deploy(controller, fleet, second.folder, deploy_restore_on_failure=True)
    assert result.rc == 2, str(result)
    newest, oldest = deployments(controller)
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["1", "1"]
    assert f"the files of deployment {oldest['deploymentId']} were put back" in result.stdout
    assert statuses(controller, newest["deploymentId"]) == {"web1": "Failed", "web2": "Skipped"}
    started = (fleet.files("web1") / "log").read_text().splitlines()
    assert started == [f"start of {oldest['deploymentId']}"] * 2
    assert deploy(controller, fleet, first.folder).rc == 0


def test_without_the_option_the_failed_revision_stays(
    controller: Controller, local_fleet: Fleets, tmp_path: Path
) -> None:
    fleet = local_fleet(1)
    assert deploy(controller, fleet, Application(tmp_path / "first", "1").folder).rc == 0
    failed = deploy(controller, fleet, Application(tmp_path / "second", "2", ApplicationStart="exit 9").folder)
    assert failed.rc == 2, str(failed)
    assert installed_version(fleet.files("web1")) == "2"


@pytest.mark.parametrize(
    "variables, words",
    [
        pytest.param({"deploy_reject_setuid": True}, "setuid", id="setuid"),
        pytest.param({"deploy_archive_limits": {"members": 2}}, "members", id="limits"),
    ],
)
def test_a_bundle_that_is_not_wanted_is_refused(
    controller: Controller, local_fleet: Fleets, tmp_path: Path, variables: dict[str, object], words: str
) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1")
    (application.folder / "content" / "version.txt").chmod(0o4755)
    bundle = tmp_path / "bundle.tar"
    with tarfile.open(bundle, "w") as archive:
        archive.add(application.folder, ".")
    refused = deploy(controller, fleet, bundle, **variables)
    assert refused.rc == 2, str(refused)
    assert words in refused.stdout
    assert installed_version(fleet.files("web1")) is None
    assert deploy(controller, fleet, bundle).rc == 0
