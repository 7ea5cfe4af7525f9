# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that run on instances, run by Ansible and by every Python that instances may have."""

from __future__ import annotations

import json
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ansible.release import __version__ as core_version
from support.controller import Controller
from support.interpreters import interpreters
from support.matrix import ALL_PYTHONS, INSTANCE_PYTHONS, versions
from support.waiting import wait_until

CORE = ".".join(core_version.split(".")[:2])
SERVED = [python for python in versions(INSTANCE_PYTHONS[CORE]) if python in interpreters()]
FOUND = [python for python in ALL_PYTHONS if python in interpreters()]
EVENTS = ["ApplicationStop", "DownloadBundle", "BeforeInstall", "Install", "AfterInstall"]

# What the module does, without Ansible's own part, which does not serve every Python.
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
import collection_loader
collection_loader.register_collection()
from ansible_collections.agentless.codedeploy.plugins.module_utils._instance_info import group_info
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_plan import plan_events, temporary_folder
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_process import run_detached
options = json.loads(sys.argv[2])
with temporary_folder(sys.argv[3]) as folder:
    planned = plan_events(Lifecycle(options), folder, {"limit": 1000, "private": True})
result = run_detached(Lifecycle(options), 600)
result["plan"], result["diff"] = planned["plan"], planned["diff"]
result["info"] = group_info(Lifecycle(options).root, "g")
print(json.dumps(result))
"""


def bundle(directory: Path, kind: str) -> Path:
    """Make a revision with a file, a link and a script, packed in some way."""
    folder = directory / "revision"
    folder.mkdir()
    (folder / "appspec.yml").write_text("the controller sends it parsed")
    (folder / "page.html").write_text("page")
    (folder / "link").symlink_to("page.html")
    (folder / "after.sh").write_text("#!/bin/sh\necho installed\n")
    (folder / "after.sh").chmod(0o755)
    path = directory / f"bundle.{kind}"
    if kind == "directory":
        return folder
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("appspec.yml", "page.html", "after.sh"):
                archive.write(folder / name, f"top/{name}")
    else:
        with tarfile.open(path, "w:gz" if kind == "tgz" else "w") as archive:
            archive.add(folder, "top")
    return path


def options_of(directory: Path, kind: str, name: str = "d-1") -> dict[str, Any]:
    script = {"location": "after.sh", "timeout": 60, "runas": None, "sudo": None}
    return {
        "deployment_id": name,
        "deployment_group_id": "g",
        "deployment_group_name": "Group",
        "application_name": "App",
        "events": EVENTS,
        "root": str(directory / "root"),
        "bundle": {"type": kind, "path": str(bundle(directory, kind))},
        "appspec": {
            "version": 0.0,
            "os": "linux",
            "hooks": {"AfterInstall": [script]},
            "files": [{"source": "/", "destination": str(directory / "destination")}],
            "permissions": [],
        },
    }


def assert_deployed(directory: Path) -> None:
    assert (directory / "destination" / "page.html").read_text() == "page"
    log = directory / "root" / "g" / "d-1" / "logs" / "scripts.log"
    assert log.read_text().endswith("[stdout]installed\n")


@pytest.mark.parametrize("kind", ["directory", "tar", "tgz", "zip"])
@pytest.mark.parametrize("python", FOUND)
def test_every_python_of_an_instance_runs_the_events(python: str, kind: str, tmp_path: Path, checkout: Path) -> None:
    arguments = [str(checkout / "tests"), json.dumps(options_of(tmp_path, kind)), str(tmp_path)]
    command = [str(interpreters()[python]), "-I", "-B", "-W", "error", "-c", PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["status"] == "Succeeded", result["events"]
    assert result["info"]["last_successful_install"] == "d-1"
    assert_deployed(tmp_path)
    installed = sorted(str(path) for path in (tmp_path / "destination").iterdir())
    assert result["plan"]["files"]["added"] == installed
    assert [entry["after_header"] for entry in result["diff"]] == installed


def module(controller: Controller, python: str, name: str, arguments: dict[str, Any], *more: str) -> dict[str, Any]:
    """Run a module of the collection with Ansible on this machine and return its result."""
    result = controller.run(
        "ansible",
        "localhost",
        *("--inventory", "localhost,", "--connection", "local"),
        *("--extra-vars", json.dumps({"ansible_python_interpreter": str(interpreters()[python])})),
        *("--module-name", f"agentless.codedeploy.{name}", "--args", json.dumps(arguments), *more),
    )
    assert " => " in result.stdout, str(result)
    return json.loads(result.stdout.partition(" => ")[2])


@pytest.mark.parametrize("python", SERVED)
def test_ansible_runs_the_modules(python: str, controller: Controller, tmp_path: Path) -> None:
    options = options_of(tmp_path, "zip")
    result = module(controller, python, "lifecycle_events", options)
    assert result["status"] == "Succeeded", result
    assert [event["status"] for event in result["events"]] == ["Succeeded"] * len(EVENTS)
    assert_deployed(tmp_path)
    info = module(controller, python, "instance_info", {"root": options["root"]}, "--check")
    assert info["changed"] is False
    (group,) = info["deployment_groups"]
    assert group["deployments"] == ["d-1"]
    assert group["last_successful_install"] == group["most_recent_install"] == "d-1"
    assert group["installed_files"] == 4
    assert [event["lifecycle_event_name"] for event in group["events"]] == EVENTS


def test_a_second_deployment_fails_at_once_and_names_the_first(controller: Controller, tmp_path: Path) -> None:
    options = options_of(tmp_path, "directory")
    script = tmp_path / "revision" / "after.sh"
    script.write_text(f"#!/bin/sh\nuntil [ -e {tmp_path}/go ]; do sleep 0.1; done\n")
    arguments = {**options, "wait": 0}
    first = controller.start(
        "ansible",
        "localhost",
        *("--inventory", "localhost,", "--connection", "local"),
        *("--module-name", "agentless.codedeploy.lifecycle_events", "--args", json.dumps(arguments)),
    )
    log = tmp_path / "root" / "g" / "d-1" / "events.jsonl"
    wait_until(lambda: log.exists() and '"AfterInstall"' in log.read_text(), "AfterInstall has begun", first)
    second = module(controller, SERVED[-1], "lifecycle_events", {**options, "deployment_id": "d-2"})
    (tmp_path / "go").touch()
    first.communicate()
    assert "deployment d-1 is in progress" in second["msg"]
    assert not (tmp_path / "root" / "g" / "d-2").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"root": "deployments"}, "root must be an absolute path"),
        ({"destination_root": "files"}, "destination_root must be an absolute path"),
        ({"bundle": {"type": "zip"}}, "path, url, digest"),
        ({"bundle": None}, "needs the option bundle"),
        ({"revisions_to_keep": 0}, "revisions_to_keep must be at least 1"),
        ({"deployment_id": "../d-1"}, "cannot be used as a folder name"),
        ({"events": None}, "events"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_done(
    wrong: dict[str, Any], message: str, controller: Controller, tmp_path: Path
) -> None:
    options = {key: value for key, value in {**options_of(tmp_path, "zip"), **wrong}.items() if value is not None}
    result = module(controller, SERVED[-1], "lifecycle_events", options)
    assert message in result["msg"]
    assert not (tmp_path / "root").exists()
