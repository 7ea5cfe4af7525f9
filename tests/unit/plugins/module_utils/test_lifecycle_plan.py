# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode says of lifecycle events: hooks, problems, reasons, differences."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.dry_run import Instance
from support.install_trees import permission

from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_process import run_detached
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import BusyError

EVENTS = ["ApplicationStop", "DownloadBundle", "BeforeInstall", "Install", "AfterInstall"]
SCRIPT = ("mode", 0o755, "#!/bin/sh\n")


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


def deploy(options: dict[str, Any]) -> None:
    result = run_detached(Lifecycle(dict(options)), 600)
    assert result["status"] == "Succeeded", result["events"]


def test_hooks_and_the_revisions_they_come_from(instance: Instance) -> None:
    old = instance.options("v1", {"s.sh": SCRIPT}, hooks={"ApplicationStop": "s.sh"}, events=EVENTS)
    assert instance.check(old)["plan"]["hooks"] == []
    deploy(old)
    new = instance.options("v2", {"t.sh": SCRIPT}, hooks={"AfterInstall": "t.sh"}, events=EVENTS)
    result = instance.check(new)
    assert result["changed"]
    assert [event["status"] for event in result["events"]] == ["Pending"] * len(EVENTS)
    hooks = [
        (hook["lifecycle_event_name"], hook["location"], hook["deployment_id"]) for hook in result["plan"]["hooks"]
    ]
    assert hooks == [("ApplicationStop", "s.sh", "d-v1"), ("AfterInstall", "t.sh", None)]
    assert result["plan"]["files"]["added"] == [str(instance.destination / "t.sh")]
    assert result["plan"]["files"]["removed"] == [str(instance.destination / "s.sh")]
    assert (result["plan"]["problems"], result["failed_event"]) == ([], None)


def test_a_missing_script_and_what_follows(instance: Instance) -> None:
    hooks = {"BeforeInstall": "gone.sh", "AfterInstall": "s.sh"}
    result = instance.check(instance.options("v1", {"s.sh": SCRIPT}, hooks=hooks, events=EVENTS))
    assert result["failed_event"] == "BeforeInstall"
    (problem,) = result["plan"]["problems"]
    assert problem == "BeforeInstall: Script does not exist at specified location: gone.sh in the bundle"
    assert result["plan"]["hooks"] == []


def test_a_failure_that_is_ignored_is_a_warning(instance: Instance) -> None:
    deploy(instance.options("v1", {"s.sh": SCRIPT}, hooks={"ApplicationStop": "s.sh"}))
    (instance.root / "g" / "d-v1" / "deployment-archive" / "s.sh").unlink()
    options = instance.options("v2", {"a": "1"}, events=EVENTS)
    assert instance.check(options)["failed_event"] == "ApplicationStop"
    plan = instance.check({**options, "ignore_application_stop_failures": True})["plan"]
    assert plan["problems"] == []
    assert plan["warnings"][0].startswith("ApplicationStop: Script does not exist")


def test_all_problems_of_install(instance: Instance) -> None:
    instance.destination.mkdir()
    for name in ("a", "b"):
        (instance.destination / name).write_text("of somebody else")
    rule = permission(instance.destination, owner="nobody-has-this-name")
    result = instance.check(instance.options("v1", {"a": "1", "b": "2", "c": "3"}, permissions=[rule]))
    assert result["plan"]["files"]["conflicting"] == [str(instance.destination / name) for name in ("a", "b")]
    assert len(result["plan"]["problems"]) == 3
    assert any("nobody-has-this-name" in problem for problem in result["plan"]["problems"])


def test_problems_of_the_bundle_name_what_is_in_it(instance: Instance) -> None:
    options = instance.options("v1", {"x/a": "1", "y/a": "2"})
    options["appspec"]["files"] = [
        {"source": source, "destination": str(instance.destination)} for source in ("x", "y", "z")
    ]
    problems = "\n".join(instance.check(options)["plan"]["problems"])
    assert "x/a and y/a are both for" in problems
    assert "z is not in the revision" in problems
    broken = instance.directory / "broken.zip"
    broken.write_text("no archive")
    options["bundle"] = {"type": "zip", "path": str(broken)}
    result = instance.check(options)
    assert result["failed_event"] == "DownloadBundle"
    assert "damaged" in result["plan"]["problems"][0]
    options["appspec"] = {"errors": ["version: 1"]}
    options["bundle"] = {"type": "directory", "path": str(instance.directory / "v1")}
    assert "version: 1" in instance.check(options)["plan"]["problems"][0]


@pytest.mark.parametrize("given", ["nothing", "a bundle that was pushed"])
def test_the_bundle_of_the_cache(instance: Instance, given: str) -> None:
    revision = instance.options("v1", {"a": "1"}, permissions=[])
    archive = shutil.make_archive(str(instance.directory / "bundle"), "gztar", instance.directory / "v1")
    digest = hashlib.sha256(Path(archive).read_bytes()).hexdigest()
    pushed = shutil.copy(archive, instance.directory / "pushed")
    bundle = {"type": "tgz", "digest": digest, "path": pushed, "remove_source": True}
    first = {**revision, "bundle": bundle}
    assert instance.check(first)["plan"]["files"]["added"] == [str(instance.destination / "a")]
    assert os.path.exists(pushed)
    if given == "nothing":
        deploy(first)
        bundle = {"type": "tgz", "digest": digest}
        kept = instance.check({**revision, "deployment_id": "d-v2", "bundle": bundle})["plan"]["files"]["kept"]
        assert kept == [str(instance.destination / "a")]
    else:
        bundle = {**bundle, "digest": "0" * 64}
        problems = instance.check({**revision, "bundle": bundle})["plan"]["problems"]
        assert "has SHA-256" in problems[0]


def test_install_alone_uses_what_was_downloaded(instance: Instance) -> None:
    options = instance.options("v1", {"a": "1"})
    unknown = instance.check({**options, "events": ["Install"], "bundle": None})["plan"]
    assert unknown["files"] is None
    assert "not on this instance yet" in unknown["warnings"][0]
    assert instance.check({**options, "events": ["Install"]})["plan"]["files"]["added"]
    deploy({**options, "events": ["DownloadBundle"]})
    shutil.rmtree(instance.directory / "v1")
    known = instance.check({**options, "events": ["Install"], "bundle": None})["plan"]
    assert known["files"]["added"] == [str(instance.destination / "a")]


def test_another_deployment_is_seen_without_being_disturbed(instance: Instance) -> None:
    options = instance.options("v1", {"a": "1"})
    deploy(options)
    lock = instance.root / "deployment-instructions" / "g-lock"
    with lock.open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(BusyError, match="deployment d-v1 is in progress for deployment group g ") as refused:
            instance.check(options)
    assert refused.value.deployment == "d-v1"
    assert instance.check(options)["plan"]["problems"] == []


def test_a_deployment_root_that_cannot_be_made(instance: Instance) -> None:
    instance.root.write_text("a file")
    problems = instance.check(instance.options("v1", {"a": "1"}))["plan"]["problems"]
    assert f"{instance.root} is not a folder" in problems[0]


def test_problems_of_an_interrupted_install_are_warnings(instance: Instance) -> None:
    deploy(instance.options("v1", {"a": "1"}))
    (instance.destination / "b").write_text("was about to be put away")
    journal = instance.root / "deployment-instructions" / "g-journal"
    journal.write_text('{"state":"staging","prefix":".codedeploy-x-","folders":[],"operations":[]}')
    plan = instance.check(instance.options("v2", {"a": "1", "b": "2"}))["plan"]
    assert plan["problems"] == []
    assert "an interrupted Install would be undone or finished first" in plan["warnings"][0]
    assert "already exists" in plan["warnings"][1]


def test_reasons(instance: Instance) -> None:
    tree = {name: "same" for name in ("content", "mode", "times", "type", "all")}
    deploy(instance.options("v1", tree))
    (instance.destination / "mode").chmod(0o600)
    os.utime(instance.destination / "times", (1, 1))
    (instance.destination / "type").unlink()
    (instance.destination / "type").symlink_to("nowhere")
    (instance.destination / "all").chmod(0o600)
    files = instance.check(instance.options("v2", {**tree, "content": "new", "all": "new"}))["plan"]["files"]
    reasons = {os.path.basename(entry["path"]): entry["reasons"] for entry in files["replaced"]}
    wanted = {name: [name] for name in tree} | {"all": ["content", "mode"]}
    assert reasons == wanted


def test_a_rule_for_a_link_to_nothing(instance: Instance) -> None:
    rule = permission(instance.destination, mode="600", type=["file"])
    options = instance.options("v1", {"link": ("link", "nowhere")}, permissions=[rule])
    assert "would be a symbolic link to nothing" in instance.check(options)["plan"]["problems"][0]
    assert run_detached(Lifecycle(dict(options)), 600)["failed_event"] == "Install"


def test_differences(instance: Instance) -> None:
    deploy(instance.options("v1", {"text": "one\n", "gone": "bye\n", "mode": "same", "link": ("link", "text")}))
    tree = {"text": "two\n", "new": "hello\n", "mode": ("mode", 0o755, "same"), "link": ("link", "new")}
    binary = {"binary": "\0", "latin": os.fsdecode(b"\xe4"), "big": "x" * 2000}
    result = instance.check(instance.options("v2", {**tree, **binary}))
    entries = {os.path.basename(entry["after_header"]): entry for entry in result["diff"]}
    texts = {name: (entry["before"], entry["after"]) for name, entry in entries.items() if "after" in entry}
    assert texts == {
        "text": ("one\n", "two\n"),
        "null": ("bye\n", ""),
        "new": ("", "hello\n"),
        "mode": ({"mode": "0644"}, {"mode": "0755"}),
        "link": ("symbolic link to text\n", "symbolic link to new\n"),
    }
    prefix = f"{instance.destination}/"
    assert {name: entry["prepared"].replace(prefix, "") for name, entry in entries.items() if "prepared" in entry} == {
        "binary": "binary is new; content not shown, it is binary\n",
        "latin": "latin is new; content not shown, it is binary\n",
        "big": "big is new; content not shown, larger than 1000 bytes\n",
    }


def test_differences_keep_secrets(instance: Instance) -> None:
    deploy(instance.options("v1", {"was": ("mode", 0o600, "old"), "will": "old", "removed": ("mode", 0o640, "old")}))
    tree = {"was": "new", "will": ("mode", 0o640, "new"), "folder/in": "new", "open": "shown"}
    rule = permission("/destination", pattern="folder", mode="711", type=["directory"])
    options = instance.options("v2", tree, permissions=[rule], destination_root=str(instance.directory))
    options["appspec"]["files"] = [{"source": "/", "destination": "/destination"}]
    entries = instance.check(options, private=False)["diff"]
    texts = {entry[side] for entry in entries for side in ("before", "after") if isinstance(entry.get(side), str)}
    assert texts == {"", "shown", "new"}
    rule["mode"] = "700"
    entries = instance.check(options, private=False)["diff"]
    assert {entry["after"] for entry in entries if isinstance(entry.get("after"), str)} == {"shown"}
    reasons = {}
    for entry in entries:
        if "prepared" in entry:
            name, _blank, reason = entry["prepared"].rstrip().partition(" ")
            reasons[os.path.basename(name)] = reason.rpartition(", ")[2]
    hidden = {"was": "mode 0600", "will": "mode 0640", "removed": "mode 0640", "in": "others cannot enter its folder"}
    assert reasons == hidden


def test_differences_are_limited_together(instance: Instance) -> None:
    tree = {f"{number:02}": "x" * 900 for number in range(20)}
    entries = instance.check(instance.options("v1", tree))["diff"]
    assert len(entries) == 12
    assert entries[-1] == {"prepared": "9 more files differ, not shown\n"}
