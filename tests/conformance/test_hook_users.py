# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts that run as another user, through the real su and sudo, and the program that runs all of this."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.case_result import ENGINE
from conformance.conftest import USER
from support.install_trees import make_tree
from support.waiting import wait_until

from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks import run_scripts
from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks_log import HookLog
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_process import run_detached

WAYS = [{"runas": USER}, {"sudo": True}, {"runas": USER, "sudo": True}]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder which every user may enter, as pytest's own must not be."""
    path = Path(tempfile.mkdtemp(prefix="hooks-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def run(folder: Path, text: str, name: str = "s.sh", **options: Any) -> tuple[dict[str, str], list[str]]:
    """Run a script and return its diagnostics and its output."""
    archive = folder / "archive"
    archive.mkdir(exist_ok=True)
    (archive / name).write_text(text)
    (archive / name).chmod(0o755)
    log = HookLog(str(folder / "scripts.log"), str(folder / "deployments.log"), "d-1")
    variables = {"DEPLOYMENT_ID": "d-1", "BUNDLE_KEY": "a key; with $signs"}
    try:
        result = run_scripts("AfterInstall", [{"location": name, **options}], str(archive), variables, log)
    finally:
        log.close()
    lines = (folder / "scripts.log").read_text().splitlines()
    return result, [line.partition("]")[2] for line in lines if "[std" in line]


@pytest.mark.parametrize("way", WAYS)
def test_a_script_of_another_user_has_the_variables(folder: Path, conformance_host: str, way: dict[str, Any]) -> None:
    text = '#!/bin/sh\nid -un\necho "$DEPLOYMENT_ID $BUNDLE_KEY"\n'
    result, output = run(folder, text, "a b; 'c'.sh", **way)
    assert result["error_code"] == "Success"
    assert output == [way.get("runas", "root"), "d-1 a key; with $signs"]


@pytest.mark.parametrize("way", WAYS)
def test_a_time_out_reaches_through_su_and_sudo(folder: Path, conformance_host: str, way: dict[str, Any]) -> None:
    text = f"#!/bin/sh\ntrap '' TERM HUP\necho $$ > {folder}/pid\nwhile :; do sleep 1; done\n"
    (folder / "pid").touch()
    (folder / "pid").chmod(0o666)
    result, _output = run(folder, text, timeout=5, **way)
    assert result["error_code"] == "ScriptTimedOut"
    status = Path(f"/proc/{(folder / 'pid').read_text().strip()}/stat")

    def ended() -> bool:
        try:
            return status.read_text().rpartition(") ")[2][0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_until(ended, "the script has ended")


def test_a_user_who_must_not_log_in_runs_nothing(folder: Path, conformance_host: str) -> None:
    result, output = run(folder, "#!/bin/sh\necho ran\n", runas="nobody")
    assert result["message"] == "Script at specified location: s.sh run as user nobody failed with exit code 1"
    assert output == ["This account is currently not available."]


SECRET = (
    "root/g/d-1/events.jsonl",
    "root/g/d-1/appspec.json",
    "root/g/d-1/archive-manifest.json",
    "root/g/d-1/installation.json",
    "root/g/d-1/bundle.tar",
    "root/bundle-cache",
    "root/deployment-instructions/g-manifest.json",
    "root/deployment-instructions/g-lock",
)


def test_another_user_reads_the_revision_and_nothing_else_of_a_deployment(folder: Path, conformance_host: str) -> None:
    content = make_tree(folder / "content", {"a": "a", "s.sh": ("mode", 0o755, "#!/bin/sh\nid -un\ncat ${0%/*}/a\n")})
    (content / "appspec.yml").write_text("kept")
    with tarfile.open(folder / "b.tar", "w") as archive:
        archive.add(content, ".")
    digest = hashlib.sha256((folder / "b.tar").read_bytes()).hexdigest()
    hook = {"location": "s.sh", "timeout": 60, "runas": USER, "sudo": None}
    files = [{"source": "a", "destination": str(folder / "destination")}]
    appspec = {"version": 0.0, "os": "linux", "hooks": {"AfterInstall": [hook]}, "files": files, "permissions": []}
    options = {
        "deployment_id": "d-1",
        "deployment_group_id": "g",
        "root": str(folder / "root"),
        "bundle": {"type": "tar", "path": str(folder / "b.tar"), "digest": digest},
        "appspec": appspec,
        "events": ["DownloadBundle", "Install", "AfterInstall"],
        "restore_on_failure": True,
    }
    before = os.umask(0o077)
    try:
        assert run_detached(Lifecycle(options), 60)["status"] == "Succeeded"
    finally:
        os.umask(before)
    log = (folder / "root/g/d-1/logs/scripts.log").read_text()
    assert f"[stdout]{USER}\n" in log and log.endswith("[stdout]a")
    assert (folder / "root").stat().st_mode & 0o7777 == 0o755
    assert (folder / "root").stat().st_uid == 0
    probe = 'for path; do test -r "$path" && echo "$path"; test -w "$path" && echo "w $path"; done; true'
    paths = [str(path) for path in sorted((folder / "root").rglob("*"))]
    done = subprocess.run(
        ["su", USER, "-s", "/bin/sh", "-c", probe, "--", "sh", *paths], check=True, capture_output=True, text=True
    )
    readable = {line.replace(f"{folder}/", "") for line in done.stdout.splitlines()}
    assert {"root/g/d-1/deployment-archive/a", "root/g/d-1/deployment-archive/s.sh"} <= readable
    assert not [line for line in readable if line.startswith("w ")]
    for path in SECRET:
        assert (folder / path).exists(), path
        assert path == "root/bundle-cache" or path not in readable
        assert not [line for line in readable if line.startswith(path + "/")]


def test_the_engine_needs_nothing_but_its_request(folder: Path, conformance_host: str) -> None:
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "appspec.yml").write_text("version: 0.0\nos: linux\n")
    deployment = {"id": "d-1", "group_id": "g", "bundle": {"path": str(bundle), "type": "directory"}}
    request = json.dumps({"root_dir": str(folder / "root"), "deployment": deployment}).encode()
    environment = {"PATH": conformance_host}
    done = subprocess.run([ENGINE], input=request, cwd="/", env=environment, capture_output=True, check=True)
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["failed_event"], len(answer["events"])) == ("Succeeded", None, 7)
