# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A revision that fails after its Install is replaced by the one that was there before, when that is wanted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.install_trees import snapshot
from support.lifecycle_instance import EVENTS, Instance, statuses

from ansible_collections.agentless.codedeploy.plugins.module_utils._install_manifest import read_previous
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import read_lines
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import InstructionFiles

HOOKS = ["AfterInstall", "ApplicationStart", "ValidateService"]


def installed(instance: Instance) -> dict[str, Any]:
    """Return all that Install leaves: the files, and the group's instruction files without what names inodes."""
    state = instance.root / "deployment-instructions"
    names = [f"g{name}" for name in ("-cleanup", "-install.json", "_last_successful_install")]
    found: dict[str, Any] = {name: (state / name).read_bytes() for name in names}
    recorded, _contexts = read_previous(InstructionFiles(str(state), "g"))
    found["manifest"] = sorted(recorded)
    return {**found, **snapshot(instance.destination, times=True)}


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    """Give an instance with the revision v1 on it, whose hooks run on request alone."""
    made = Instance(tmp_path)
    made.deploy("v1", made.revision("v1", *HOOKS, "ApplicationStop"), restore_on_failure=True)
    made.scripts()
    return made


def failing(instance: Instance, event: str, *events: str) -> dict[str, Any]:
    """Make the revision v2, in which one event fails."""
    script = f'if [ "$LIFECYCLE_EVENT" = {event} ]; then echo broken; exit 1; fi'
    return instance.revision("v2", event, *events, script=script)


@pytest.mark.parametrize("event", [*HOOKS, "BeforeAllowTraffic", "AfterAllowTraffic"])
def test_the_revision_before_is_put_back(instance: Instance, event: str) -> None:
    before = installed(instance)
    events = [*EVENTS[:6], "BeforeAllowTraffic", "AfterAllowTraffic", "ValidateService"]
    result = instance.deploy("v2", failing(instance, event), events=events, restore_on_failure=True)
    assert (result["status"], result["failed_event"]) == ("Failed", event)
    assert result["events"][events.index(event)]["diagnostics"]["log_tail"].endswith("[stdout]broken\n")
    restored = result["restored"]
    assert (restored["deployment_id"], restored["status"]) == ("d-v1", "Succeeded")
    names = [(entry["lifecycle_event_name"], entry["status"]) for entry in restored["events"]]
    assert names == [(name, "Succeeded") for name in ("Install", "ApplicationStart", "ValidateService")]
    assert installed(instance) == before
    assert instance.scripts() == ["v1 ApplicationStop", f"v2 {event}", "v1 ApplicationStart", "v1 ValidateService"]
    assert instance.pointer("most_recent_install") == "d-v2"
    assert instance.deploy("v3", instance.revision("v3"), restore_on_failure=True)["status"] == "Succeeded"
    assert instance.scripts() == ["v1 ApplicationStop"]


def test_nothing_is_put_back_unless_it_is_wanted(instance: Instance) -> None:
    result = instance.deploy("v2", failing(instance, "AfterInstall"))
    assert result["failed_event"] == "AfterInstall" and "restored" not in result
    assert [path.name for path in instance.destination.iterdir()] == ["v2.txt"]
    assert instance.pointer("last_successful_install") == "d-v2"
    assert not (instance.root / "g" / "d-v2" / "installation.json").exists()


def test_the_event_log_tells_of_it_without_changing_the_result_of_the_events(instance: Instance) -> None:
    result = instance.deploy("v2", failing(instance, "ValidateService", "ApplicationStart"), restore_on_failure=True)
    assert statuses(result) == ["Succeeded"] * 6 + ["Failed"]
    lines = read_lines(Path(result["events_log"]).read_bytes())
    steps = [line["restored"] for line in lines if "restored" in line and not line.get("finished")]
    assert [(step["lifecycle_event_name"], step["status"]) for step in steps] == [
        (event, status)
        for event in ("Install", "ApplicationStart", "ValidateService")
        for status in ("InProgress", "Succeeded")
    ]
    assert lines[-1]["finished"] and lines[-1]["restored"] == result["restored"]


@pytest.mark.parametrize("event", ["ApplicationStop", "BeforeInstall", "Install"])
def test_a_failure_before_the_end_of_install_has_nothing_to_undo(instance: Instance, event: str) -> None:
    before = installed(instance)
    appspec = failing(instance, event)
    if event == "ApplicationStop":
        script = instance.root / "g" / "d-v1" / "deployment-archive" / "s.sh"
        script.write_text("#!/bin/sh\nexit 1\n")
    elif event == "Install":
        appspec["files"].append({"source": "missing", "destination": "/x"})
    result = instance.deploy("v2", appspec, restore_on_failure=True)
    assert result["failed_event"] == event and "restored" not in result
    assert installed(instance) == before


def test_a_first_deployment_has_nothing_to_go_back_to(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    result = instance.deploy("v2", failing(instance, "AfterInstall"), restore_on_failure=True)
    assert result["failed_event"] == "AfterInstall"
    assert result["restored"]["status"] == "Skipped" and result["restored"]["deployment_id"] is None
    assert "before this one" in result["restored"]["message"]
    assert [path.name for path in instance.destination.iterdir()] == ["v2.txt"]


def test_a_revision_that_is_gone_cannot_be_put_back(instance: Instance) -> None:
    shutil.rmtree(instance.root / "g" / "d-v1" / "deployment-archive")
    appspec = failing(instance, "AfterInstall")
    result = instance.deploy("v2", appspec, events=EVENTS[1:], restore_on_failure=True)
    assert (result["restored"]["status"], result["restored"]["deployment_id"]) == ("Skipped", "d-v1")
    assert str(instance.root / "g" / "d-v1" / "deployment-archive") in result["restored"]["message"]
    assert [path.name for path in instance.destination.iterdir()] == ["v2.txt"]


def test_an_event_of_a_later_call_puts_it_back_too(instance: Instance) -> None:
    before = installed(instance)
    appspec = failing(instance, "AfterAllowTraffic")
    for events in (EVENTS[:6], EVENTS[3:4]):
        assert instance.deploy("v2", appspec, events=events, restore_on_failure=True)["status"] == "Succeeded"
    result = instance.deploy("v2", None, events=["AfterAllowTraffic"], restore_on_failure=True)
    assert (result["failed_event"], result["restored"]["status"]) == ("AfterAllowTraffic", "Succeeded")
    assert installed(instance) == before
    result = instance.deploy("v2", None, events=["AfterAllowTraffic"], restore_on_failure=True)
    assert (result["failed_event"], result["restored"]["status"]) == ("AfterAllowTraffic", "Skipped")


def test_its_scripts_get_what_it_was_deployed_with(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    show = f'echo "$LIFECYCLE_EVENT $DEPLOYMENT_ID [$BUNDLE_COMMIT] $DEPLOYMENT_GROUP_ID" >> {tmp_path}/told'
    first = instance.revision("v1", "ApplicationStart", script=show)
    revisions = [{"git_hub_location": {"repository": "a/b", "commit_id": commit}} for commit in ("c1", "c2")]
    instance.deploy("v1", first, revision=revisions[0], restore_on_failure=True)
    appspec = failing(instance, "ValidateService")
    instance.deploy("v2", appspec, revision=revisions[1], restore_on_failure=True)
    (instance.root / "g" / "d-v1" / "installation.json").unlink()
    instance.deploy("v2", appspec, revision=revisions[1], restore_on_failure=True)
    assert (tmp_path / "told").read_text().splitlines() == [
        "ApplicationStart d-v1 [c1] g",
        "ApplicationStart d-v1 [c1] g",
        "ApplicationStart d-v1 [] g",
    ]
    log = (instance.root / "g" / "d-v2" / "logs" / "scripts.log").read_text()
    assert log.count("LifecycleEvent - ApplicationStart") == 2


@pytest.mark.parametrize("behavior", ["DISALLOW", "OVERWRITE", "RETAIN"])
def test_only_what_the_revision_had_found_and_retained_stays_somebody_elses(tmp_path: Path, behavior: str) -> None:
    instance = Instance(tmp_path)
    appspec = instance.revision("v1")
    if behavior == "RETAIN":
        instance.destination.mkdir()
        (instance.destination / "v1.txt").write_text("foreign")
    instance.deploy("v1", appspec, file_exists_behavior=behavior, restore_on_failure=True)
    spoil = f'test "$LIFECYCLE_EVENT" = AfterInstall && echo spoilt > {instance.destination}/v1.txt; exit 1'
    script = "exit 1" if behavior == "RETAIN" else spoil
    result = instance.deploy("v2", instance.revision("v2", "AfterInstall", script=script), restore_on_failure=True)
    assert result["restored"]["status"] == "Succeeded"
    assert (instance.destination / "v1.txt").read_text() == ("foreign" if behavior == "RETAIN" else "v1")
    assert not (instance.destination / "v2.txt").exists()


def test_a_revision_that_cannot_be_installed_again_leaves_the_failed_one(instance: Instance) -> None:
    archive = instance.root / "g" / "d-v1" / "deployment-archive"
    (archive / "v1.txt").unlink()
    result = instance.deploy("v2", failing(instance, "AfterInstall"), restore_on_failure=True)
    assert result["failed_event"] == "AfterInstall"
    restored = result["restored"]
    assert restored["status"] == "Failed"
    assert [event["status"] for event in restored["events"]] == ["Failed", "Skipped", "Skipped"]
    assert "v1.txt" in restored["events"][0]["diagnostics"]["message"]
    assert [path.name for path in instance.destination.iterdir()] == ["v2.txt"]
    assert instance.pointer("last_successful_install") == "d-v2"


def test_a_hook_of_the_revision_before_that_fails_is_told(instance: Instance) -> None:
    script = instance.root / "g" / "d-v1" / "deployment-archive" / "s.sh"
    script.write_text(script.read_text() + 'test "$LIFECYCLE_EVENT" != ApplicationStart\n')
    result = instance.deploy("v2", failing(instance, "AfterInstall"), restore_on_failure=True)
    restored = result["restored"]
    assert (result["failed_event"], restored["status"]) == ("AfterInstall", "Failed")
    assert [event["status"] for event in restored["events"]] == ["Succeeded", "Failed", "Skipped"]
    assert restored["events"][1]["diagnostics"]["error_code"] == "ScriptFailed"
    assert [path.name for path in instance.destination.iterdir()] == ["v1.txt"]


def test_a_revision_of_the_agent_has_its_appspec_read_before_anything_runs(instance: Instance) -> None:
    appspec = json.loads((instance.root / "g" / "d-v1" / "appspec.json").read_text())
    (instance.root / "g" / "d-v1" / "appspec.json").unlink()
    second = failing(instance, "AfterInstall")
    events = EVENTS[1:]
    result = instance.deploy("v2", second, events=events, restore_on_failure=True)
    assert result["previous_appspec_required"]["path"].endswith("d-v1/deployment-archive/appspec.yml")
    result = instance.deploy("v2", second, events=events, previous_appspec=appspec, restore_on_failure=True)
    assert result["restored"]["status"] == "Succeeded"
    assert instance.scripts() == ["v2 AfterInstall", "v1 ApplicationStart", "v1 ValidateService"]
