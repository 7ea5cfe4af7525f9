# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet of a deployment, and what preflight finds in an AppSpec and its bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.applications import Application
from support.deployments import GROUP_ID, deploy, request, revision

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._appspec_file import parse_appspec_file
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import CachedBundle
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import read_contents
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._create_deployment import (
    Fleet,
    Prepared,
    fleet_of,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import settle
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import create_deployment, current_owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._foreseen_group import foresee_group
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import deployment_config
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._plan import plan_of_preparation
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import (
    Findings,
    check_appspec,
    lifecycle_events,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import Revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store


def test_fleet() -> None:
    groups = {"web": ["w1", "w2", "w3"], "db": ["d1"]}
    assert fleet_of("web", groups, ["w1", "w2", "w3"]).limited_to is None
    limited = fleet_of("web", groups, ["w3", "w1"])
    assert (limited.instances, limited.limited_to) == (["w1", "w2", "w3"], ["w1", "w3"])
    with pytest.raises(PreflightError, match="hosts that are not in the group web: d1"):
        fleet_of("web", groups, ["w1", "d1"])
    with pytest.raises(PreflightError, match="no group app"):
        fleet_of("app", groups, ["w1"])


def test_lifecycle_events() -> None:
    assert lifecycle_events() == [
        "ApplicationStop",
        "DownloadBundle",
        "BeforeInstall",
        "Install",
        "AfterInstall",
        "ApplicationStart",
        "ValidateService",
    ]
    with_traffic = lifecycle_events(load_balanced=True)
    assert with_traffic[:3] == ["BeforeBlockTraffic", "BlockTraffic", "AfterBlockTraffic"]
    assert with_traffic[-3:] == ["BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"]


def checked(application: Application) -> Findings:
    """Check an application as it is now."""
    application.write_appspec()
    contents = read_contents(str(application.folder))
    return check_appspec(parse_appspec_file(contents.appspec_data), contents)


def test_nothing_wrong(tmp_path: Path) -> None:
    findings = checked(Application(tmp_path / "app", "1", BeforeInstall="true", ValidateService="true"))
    assert (findings.problems, findings.warnings) == ([], [])


def test_warnings(tmp_path: Path) -> None:
    application = Application(tmp_path / "app", "1", BeforeInstall="true", Install="true", BeforeLunch="true")
    hooks: Any = application.appspec["hooks"]
    hooks["BeforeInstall"] = [{"location": "scripts/BeforeInstall.sh", "timeout": 1801}] * 2
    findings = checked(application)
    assert findings.problems == []
    assert [warning.split(":")[1] for warning in findings.warnings] == [
        " hooks.BeforeInstall",
        " hooks.Install",
        " hooks.BeforeLunch",
    ]
    assert "add up to 3602 s" in findings.warnings[0]


def test_duplicate_destinations(tmp_path: Path) -> None:
    application = Application(tmp_path / "app", "1")
    (application.folder / "other").mkdir()
    (application.folder / "other" / "version.txt").write_text("")
    application.appspec["files"] = [
        {"source": "/content", "destination": "/srv/a/"},
        {"source": "other/", "destination": "/srv//a"},
        {"source": "content/version.txt", "destination": "/srv/b"},
        {"source": "appspec.yml", "destination": "/srv/a"},
    ]
    assert checked(application).problems == [
        "appspec.yml: files[0] and files[1] both install /srv/a/version.txt; remove one"
    ]


def test_script_that_is_a_folder(tmp_path: Path) -> None:
    application = Application(tmp_path / "app", "1")
    application.appspec["hooks"] = {"BeforeInstall": [{"location": "content"}]}
    assert checked(application).problems == [
        "appspec.yml: hooks.BeforeInstall[0].location: content is a folder and not a script"
    ]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_plan_leaves_out_the_same_instances_as_the_deployment(store: Store, number: int) -> None:
    deploy(store, request("abcd", number=1))
    deploy(store, request("abcd", "HalfAtATime", number=2), failing="a")
    arguments = {
        "application_name": "HollowWeb",
        "deployment_group_id": GROUP_ID,
        "update_outdated_instances_only": True,
        "deployment_groups": {"web": {"deployment_group_name": "production"}},
    }
    recorded = revision(number)
    bundle = CachedBundle("", "tgz", recorded["digest"], 1)
    prepared = Prepared(
        settle(arguments, "web"),
        Fleet(list("abcd"), None),
        Revision("Local", recorded["local_location"]["path"], bundle),
        deployment_config("AllAtOnce"),
        {},
        [],
    )
    plan = plan_of_preparation(prepared, foresee_group(store, GROUP_ID, recorded, current_owner()))
    created = create_deployment(store, request("abcd", number=number, update_outdated_instances_only=True))
    assert plan["order"] == created.order
    assert len(plan["order"]) == {1: 4, 2: 1, 3: 4}[number]
