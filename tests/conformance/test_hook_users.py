# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts that run as another user, through the real su and sudo, and the program that runs all of this."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.case_result import ENGINE
from conformance.conftest import USER

from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks import run_scripts
from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks_log import HookLog

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
    result, _output = run(folder, text, timeout=1, **way)
    assert result["error_code"] == "ScriptTimedOut"
    status = Path(f"/proc/{(folder / 'pid').read_text().strip()}/stat")
    limit = time.monotonic() + 10
    while status.exists() and status.read_text().rpartition(") ")[2][0] != "Z":
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_user_who_must_not_log_in_runs_nothing(folder: Path, conformance_host: str) -> None:
    result, output = run(folder, "#!/bin/sh\necho ran\n", runas="nobody")
    assert result["message"] == "Script at specified location: s.sh run as user nobody failed with exit code 1"
    assert output == ["This account is currently not available."]


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
