# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments of revisions that are elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.applications import Application, installed_version
from support.controller import Controller
from support.github_server import COMMIT, serve_github
from support.local_fleet import LocalFleet
from support.record import deployments

DEPLOY = "agentless.codedeploy.deploy"
Fleets = Callable[..., LocalFleet]


def test_github(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    hook = 'echo "$BUNDLE_COMMIT" > "$DESTINATION_ROOT/commit"'
    application = Application(tmp_path / "application", "1", AfterInstall=hook)
    location = {"repository": "acme/hollowweb", "commitId": COMMIT}
    with serve_github(application.folder, token="t0ken") as github:
        result = controller.playbook(
            DEPLOY,
            fleet.inventory(),
            "-vvv",
            deploy_group="web",
            deploy_revision={"revisionType": "GitHub", "gitHubLocation": location},
            deploy_github_token="t0ken",
            deploy_github_api_url=github.api_url,
        )
        assert result.rc == 0, str(result)
        assert [host for host, _path, _token in github.requests] == ["api", "archives"]
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["1", "1"]
    assert (fleet.files("web1") / "commit").read_text().strip() == COMMIT
    assert "t0ken" not in result.stdout + result.stderr
    (deployment,) = deployments(controller)
    assert deployment["revision"]["gitHubLocation"] == location
    again = controller.playbook(DEPLOY, fleet.inventory(), deploy_group="web", deploy_revision="last_successful")
    assert again.rc == 0, str(again)
