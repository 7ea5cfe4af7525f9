# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts for the screen, the API's field names, and secrets that must not be in either."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.deployments import deploy, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import get_targets
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_deployment import verdict_text
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_instance import failure_text
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import camel_case, cli_time
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_table import counted, elapsed, pairs, table
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._secrets import address_secrets, hide
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store


def test_table() -> None:
    assert table(("NAME", "STATUS"), [("web1", "Succeeded"), ("a", None)]) == [
        "  NAME  STATUS",
        "  web1  Succeeded",
        "  a     -",
    ]
    assert pairs([("a", 1), ("long", "x"), ("none", None)]) == ["  a     1", "  long  x"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 01 s"), (3600, "1 h 00 min"), (-1, "0.0 s")]
)
def test_elapsed(seconds: float, text: str) -> None:
    assert elapsed(1000.0, 1000.0 + seconds) == text
    assert elapsed(None, 1.0) == "-"


def test_counted() -> None:
    assert [counted(number, "instance") for number in (0, 1, 2)] == ["0 instances", "1 instance", "2 instances"]
    assert [counted(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]


def test_failure_names_event_script_and_the_end_of_the_log() -> None:
    log = "".join(f"[stdout]line {number}\n" for number in range(30))
    diagnostics = {"error_code": "ScriptFailed", "script_name": "a.sh", "message": "failed: 3", "log_tail": log}
    event = {"lifecycle_event_name": "AfterInstall", "status": "Failed", "diagnostics": diagnostics}
    lines = failure_text("web1", "d-123456789", {"failed_event": "AfterInstall", "events": [event]}).splitlines()
    assert lines[:3] == [
        "web1: AfterInstall failed (ScriptFailed)",
        "  script   a.sh",
        "  message  failed: 3",
    ]
    assert lines[3] == "  log      [stdout]line 20"
    assert lines[12] == "           [stdout]line 29"
    assert lines[13].endswith("-e deployment_id=d-123456789 -e instance=web1")
    assert failure_text("web1", None, {"failed_event": None, "events": [], "message": "locked"}) == "web1: locked"


def test_verdict_offers_the_revision_that_undoes_the_deployment(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "deployments.sqlite"))
    options = {"deployment_group": "web"}

    def way_back(number: int, failing: str, **more: object) -> str | None:
        ended = deploy(store, request("abc", number=number, options=options, **more), failing)
        lines = verdict_text(ended, get_targets(store, ended.deployment_id), " -i inv.ini").splitlines()
        commands = [line.split("  ")[-1] for line in lines if "agentless.codedeploy.deploy " in line]
        # Without it what is deployed would be an application that is called like the group.
        group = "-i inv.ini -e deploy_group=web -e deploy_application=HollowWeb"
        assert all(group in command for command in commands), commands
        return next((line.rpartition("=")[2] for line in lines if line.startswith("  go back ")), None)

    assert way_back(1, "") is None
    # The deployment failed, so that the last successful revision is the one before.
    assert way_back(2, "abc") == "last_successful"
    # It succeeded without one instance, and is the last successful one itself.
    assert way_back(2, "b") == "previous"
    assert way_back(2, "b") is None
    assert way_back(3, "a", limited_to=["a", "b"]) == "last_successful"


def test_verdict_without_instances(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "deployments.sqlite"))
    deploy(store, request("ab"))
    ended = deploy(store, request("ab", update_outdated_instances_only=True))
    text = verdict_text(ended, get_targets(store, ended.deployment_id), "")
    assert "instances         none" in text
    assert "No instance was deployed to: each has the revision already" in text
    assert "INSTANCE" not in text


def test_camel_case_leaves_data_alone() -> None:
    value = {"deployment_overview": {"InProgress": 1}, "lifecycle_events": [{"start_time": 1.0}], "status": "x"}
    assert camel_case(value) == {
        "deploymentOverview": {"InProgress": 1},
        "lifecycleEvents": [{"startTime": cli_time(1.0)}],
        "status": "x",
    }


def test_times_are_printed_as_the_cli_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "EST5EDT")
    time.tzset()
    try:
        assert cli_time(1408480721.9219) == "2014-08-19T16:38:41.922000-04:00"
        assert cli_time(1408480721) == "2014-08-19T16:38:41-04:00"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_secrets() -> None:
    address = "https://user:password@host/a.zip?X-Signature=abc"
    secrets = address_secrets(address, {"Authorization": "Bearer xyz", "Empty": ""})
    result = hide({"a": [f"GET {address} with Bearer xyz", 1, None]}, secrets)
    assert result == {"a": ["GET https://********@host/a.zip?******** with ********", 1, None]}
    assert address_secrets("/local/path?x", {}) == []
