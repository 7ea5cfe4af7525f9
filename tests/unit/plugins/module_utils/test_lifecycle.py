# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifecycle events of deployments on an instance, run in processes of their own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.install_trees import permission
from support.lifecycle_instance import EVENTS, Instance, statuses
from support.waiting import wait_until

from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import read_lines, summary
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_process import start_time
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import StateError
from ansible_collections.agentless.codedeploy.plugins.module_utils._state_seal import seal

OWN = (os.geteuid(), os.getegid())


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


def test_the_events_of_two_deployments(instance: Instance) -> None:
    result = instance.deploy("v1", instance.revision("v1", *EVENTS))
    assert result["status"] == "Succeeded"
    assert statuses(result) == ["Succeeded"] * 7
    assert [event["noop"] for event in result["events"]] == [True] + [False] * 6
    hooks = ["BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService"]
    assert instance.scripts() == [f"v1 {event}" for event in hooks]
    assert os.listdir(instance.destination) == ["v1.txt"]
    instance.deploy("v2", instance.revision("v2", "ApplicationStart"))
    assert instance.scripts() == ["v1 ApplicationStop", "v2 ApplicationStart"]
    assert os.listdir(instance.destination) == ["v2.txt"]
    assert instance.pointer("last_successful_install") == "d-v2"


def test_what_is_ours_is_readable_by_its_owner_alone(instance: Instance) -> None:
    appspec = instance.revision("v1", "AfterInstall")
    bundle = shutil.make_archive(str(instance.directory / "bundle"), "tar", instance.directory / "v1")
    os.chmod(bundle, 0o644)
    digest = hashlib.sha256(Path(bundle).read_bytes()).hexdigest()
    pushed = {"type": "tar", "path": bundle, "digest": digest, "remove_source": True}
    result = instance.deploy("v1", appspec, bundle=pushed, restore_on_failure=True)
    deployment = Path(result["events_log"]).parent
    own = [deployment / name for name in ("events.jsonl", "appspec.json", "archive-manifest.json", "installation.json")]
    own += [deployment / "bundle.tar", instance.root / "bundle-cache" / digest]
    own += [instance.root / "deployment-instructions" / name for name in ("g-manifest.json", "g-lock")]
    assert {path.name: f"{path.stat().st_mode & 0o777:o}" for path in own} == dict.fromkeys(
        (p.name for p in own), "600"
    )
    agents = [deployment / "logs" / "scripts.log", *(instance.root / "deployment-instructions").glob("g_*")]
    assert {f"{path.stat().st_mode & 0o777:o}" for path in agents} == {"644"}
    folders = [path for path in (instance.root, *instance.root.rglob("*")) if path.is_dir()]
    assert {f"{path.stat().st_mode & 0o7777:o}" for path in folders} == {"755"}
    assert os.listdir(instance.root / "g") == ["d-v1"]
    assert os.listdir(instance.root / "ongoing-deployment") == []


def test_the_first_failure_ends_the_deployment(instance: Instance) -> None:
    result = instance.deploy("v1", instance.revision("v1", "BeforeInstall", script="echo oh; exit 7"))
    assert result["status"] == "Failed"
    assert result["failed_event"] == "BeforeInstall"
    assert statuses(result) == ["Succeeded", "Succeeded", "Failed"] + ["Skipped"] * 4
    diagnostics = result["events"][2]["diagnostics"]
    assert diagnostics["error_code"] == "ScriptFailed"
    assert diagnostics["log_tail"].endswith("[stdout]oh\n")
    assert instance.pointer("most_recent_install") == "d-v1"
    assert not (instance.root / "deployment-instructions" / "g_last_successful_install").exists()


@pytest.mark.parametrize("event", ["ApplicationStop", "BeforeBlockTraffic", "AfterBlockTraffic"])
def test_failures_before_the_bundle_can_be_ignored(instance: Instance, event: str) -> None:
    instance.deploy("v1", instance.revision("v1", event, script="exit 1"))
    appspec = instance.revision("v2")
    events = [event, *EVENTS[1:]]
    assert instance.deploy("v2", appspec, events=events)["failed_event"] == event
    result = instance.deploy("v2", appspec, events=events, ignore_application_stop_failures=True)
    assert result["status"] == "Succeeded"
    assert statuses(result)[:2] == ["Failed", "Succeeded"]
    events = ["DownloadBundle", "AfterInstall", "Install"]
    appspec = instance.revision("v3", "AfterInstall", script="exit 1")
    result = instance.deploy("v3", appspec, events=events, ignore_application_stop_failures=True)
    assert result["failed_event"] == "AfterInstall"


def test_a_deployment_that_does_nothing_leaves_no_folder(instance: Instance) -> None:
    instance.deploy("v1", instance.revision("v1"), events=["ApplicationStop"])
    assert os.listdir(instance.root / "g") == []


def test_a_revision_whose_install_failed_does_not_stop_the_application(instance: Instance) -> None:
    instance.deploy("v1", instance.revision("v1", "ApplicationStop"))
    appspec = instance.revision("v2", "ApplicationStop")
    appspec["files"].append({"source": "missing", "destination": "/x"})
    assert instance.deploy("v2", appspec)["failed_event"] == "Install"
    assert os.listdir(instance.destination) == ["v1.txt"]
    instance.scripts()
    instance.deploy("v3", instance.revision("v3"))
    assert instance.scripts() == ["v1 ApplicationStop"]


def test_a_revision_that_failed_after_install_does(instance: Instance) -> None:
    instance.deploy("v1", instance.revision("v1", "AfterInstall", "ApplicationStop", script='test "$STOP"'))
    instance.scripts()
    assert instance.deploy("v2", instance.revision("v2"))["failed_event"] == "ApplicationStop"
    assert instance.scripts() == ["v1 ApplicationStop"]


ROLLBACK = {"deployment_creator": "codeDeployRollback", "deployment_type": "BLUE_GREEN"}


def test_a_blue_green_rollback_takes_scripts_of_the_revisions_before(instance: Instance) -> None:
    traffic = ["BeforeBlockTraffic", "AfterBlockTraffic", "BeforeAllowTraffic", "AfterAllowTraffic", "ApplicationStop"]
    instance.deploy("v1", instance.revision("v1", *traffic))
    instance.deploy("v2", instance.revision("v2", *traffic), events=["DownloadBundle"])
    appspec = instance.revision("v3", *traffic)
    instance.scripts()
    instance.deploy("v3", appspec, events=traffic, **ROLLBACK)
    assert instance.scripts() == [
        "v2 BeforeBlockTraffic",
        "v2 AfterBlockTraffic",
        "v1 BeforeAllowTraffic",
        "v1 AfterAllowTraffic",
        "v1 ApplicationStop",
    ]
    instance.deploy("v3", appspec, events=["DownloadBundle", *traffic], **ROLLBACK)
    assert instance.scripts() == [f"v3 {event}" for event in traffic]


def test_an_archive_that_is_there_already_is_stopped_by_its_own_scripts(instance: Instance) -> None:
    instance.deploy("v1", instance.revision("v1", "ApplicationStop"))
    instance.deploy("v2", instance.revision("v2", "ApplicationStop"), events=["DownloadBundle"])
    instance.deploy("v2", None, events=["ApplicationStop"])
    assert instance.scripts() == ["v2 ApplicationStop"]


def test_the_appspec_of_an_earlier_call_is_used_again(instance: Instance) -> None:
    instance.deploy("v1", instance.revision("v1", "AfterInstall"), events=["DownloadBundle"])
    result = instance.deploy("v1", None, events=["Install", "AfterInstall"])
    assert result["status"] == "Succeeded"
    assert instance.scripts() == ["v1 AfterInstall"]


@pytest.mark.parametrize(
    ("appspec", "text"),
    [
        ({"errors": ["os: 'Linux': must be linux", "version: 1"]}, "os: 'Linux': must be linux; version: 1"),
        ({"version": 0.0, "os": "windows", "hooks": {}, "files": [], "permissions": []}, "windows"),
        (None, 'no AppSpec file at the revision-relative path "appspec.yml"'),
    ],
)
def test_an_appspec_that_is_not_valid_fails_the_first_event_that_needs_it(
    instance: Instance, appspec: dict[str, Any] | None, text: str
) -> None:
    instance.revision("v1")
    result = instance.deploy("v1", appspec)
    assert result["failed_event"] == "BeforeInstall"
    assert result["events"][2]["diagnostics"]["error_code"] == "UnknownError"
    assert text in result["events"][2]["diagnostics"]["message"]


@pytest.mark.parametrize("name", ["appspec.yml", "appspec.yaml"])
def test_a_revision_of_the_agent_has_its_appspec_read_by_the_controller(instance: Instance, name: str) -> None:
    first = instance.revision("v1", "ApplicationStop")
    (instance.directory / "v1" / "appspec.yml").rename(instance.directory / "v1" / name)
    instance.deploy("v1", first)
    (instance.root / "g" / "d-v1" / "appspec.json").unlink()
    second = instance.revision("v2")
    result = instance.deploy("v2", second)
    required = result["previous_appspec_required"]
    assert required["path"] == str(instance.root / "g" / "d-v1" / "deployment-archive" / name)
    assert base64.b64decode(required["content"]) == b"kept as it is"
    assert statuses(result) == ["Pending"] * 7
    assert instance.scripts() == [] and not (instance.root / "g" / "d-v2").exists()
    assert instance.deploy("v2", second, previous_appspec=first)["status"] == "Succeeded"
    assert instance.scripts() == ["v1 ApplicationStop"]


def test_a_last_successful_revision_that_is_gone_fails_application_stop(instance: Instance) -> None:
    instance.deploy("v1", instance.revision("v1", "ApplicationStop"))
    shutil.rmtree(instance.root / "g" / "d-v1")
    result = instance.deploy("v2", instance.revision("v2"))
    assert result["failed_event"] == "ApplicationStop"
    assert "d-v1" in result["events"][0]["diagnostics"]["message"]


def test_unknown_events_fail_and_custom_ones_run(instance: Instance) -> None:
    appspec = instance.revision("v1", "Warmup")
    result = instance.deploy("v1", appspec, events=["DownloadBundle", "Warmup"])
    assert result["events"][1]["diagnostics"]["message"] == "Unsupported command type: Warmup."
    assert instance.deploy("v1", appspec, events=["DownloadBundle", "Warmup"], custom_events=["Warmup"])["changed"]
    assert instance.scripts() == ["v1 Warmup"]
    result = instance.deploy("v1", appspec, events=["Install"], all_possible_lifecycle_events=EVENTS)
    assert "Warmup" in result["events"][0]["diagnostics"]["message"]
    result = instance.deploy("v1", appspec, events=["Install"], all_possible_lifecycle_events=["Warmup", "Other"])
    assert "Other" in result["events"][0]["diagnostics"]["message"]


def test_what_a_script_is_told(instance: Instance) -> None:
    appspec = instance.revision("v1", "AfterInstall", script=f"env > {instance.directory}/env")
    revision = {"revision_type": "S3", "s3_location": {"bucket": "b", "key": "k", "version": None, "e_tag": '"e"'}}
    instance.deploy(
        "v1",
        appspec,
        deployment_id="arn:aws:codedeploy:eu-west-1:1:deployment/d-7",
        application_name="App",
        deployment_group_name="Group",
        revision=revision,
        destination_root=str(instance.directory),
        events=["DownloadBundle", "AfterInstall"],
    )
    found = dict(line.partition("=")[::2] for line in (instance.directory / "env").read_text().splitlines())
    names = ("DEPLOYMENT_ID", "DEPLOYMENT_GROUP_ID", "DEPLOYMENT_GROUP_NAME", "APPLICATION_NAME", "LIFECYCLE_EVENT")
    assert [found[name] for name in names] == ["d-7", "g", "Group", "App", "AfterInstall"]
    assert (found["BUNDLE_BUCKET"], found["BUNDLE_KEY"], found["BUNDLE_ETAG"]) == ("b", "k", '"e"')
    assert "BUNDLE_VERSION" not in found and "BUNDLE_COMMIT" not in found
    assert found["DESTINATION_ROOT"] == str(instance.directory)


def test_what_a_script_changes_in_its_revision_is_installed(instance: Instance) -> None:
    script = 'cd "$(dirname "$0")" && echo changed > v1.txt'
    instance.deploy("v1", instance.revision("v1", "BeforeInstall", script=script))
    assert (instance.destination / "v1.txt").read_text() == "changed\n"
    instance.deploy("v2", instance.revision("v2"))
    assert (instance.destination / "v2.txt").read_text() == "v2"
    script = 'cd "$(dirname "$0")" && rm v3.txt && echo longer > v3.txt'
    instance.deploy("v3", instance.revision("v3", "BeforeInstall", script=script), events=EVENTS[1:3])
    assert not (instance.destination / "v3.txt").exists()
    instance.deploy("v3", None, events=["Install"])
    assert (instance.destination / "v3.txt").read_text() == "longer\n"


def test_the_events_go_on_after_the_answer_and_keep_the_lock(instance: Instance) -> None:
    appspec = instance.revision(
        "v1", "AfterInstall", script=f"until [ -e {instance.directory}/go ]; do sleep 0.1; done"
    )
    result = instance.deploy("v1", appspec, wait=0.0)
    assert result["status"] == "InProgress"
    assert statuses(result)[-2:] == ["Pending", "Pending"]
    log = Path(result["events_log"])
    wait_until(lambda: log.exists() and b'"AfterInstall"' in log.read_bytes(), "AfterInstall has begun")
    assert result["process"]["start_time"] == start_time(result["process"]["pid"])
    with pytest.raises(StateError, match="deployment d-v1 is in progress"):
        instance.deploy("v2", instance.revision("v2"))
    (instance.directory / "go").touch()
    lines = finished_lines(result)
    assert summary(EVENTS, lines)["status"] == "Succeeded"
    assert instance.deploy("v2", None, events=[])["status"] == "Succeeded"


def finished_lines(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Follow the event log of a call to its end, as the controller does, and take the process that wrote it away."""
    os.waitpid(result["process"]["pid"], 0)
    lines = read_lines(Path(result["events_log"]).read_bytes()[result["events_log_offset"] :])
    assert lines[-1]["finished"]
    return lines


def test_the_event_log_tells_each_call_from_the_one_before(instance: Instance) -> None:
    appspec = instance.revision("v1", "AfterInstall")
    first = instance.deploy("v1", appspec)
    second = instance.deploy("v1", appspec, events=["AfterInstall"])
    assert second["events_log_offset"] == Path(first["events_log"]).read_bytes().index(
        json.dumps(lines_of(second)[0], sort_keys=True).encode()
    )
    assert [line.get("lifecycle_event_name") for line in lines_of(second)] == ["AfterInstall", "AfterInstall", None]


def lines_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    return read_lines(Path(result["events_log"]).read_bytes()[result["events_log_offset"] :])


def test_a_process_that_is_killed_is_reported(instance: Instance) -> None:
    appspec = instance.revision("v1", "AfterInstall", script="kill -9 $PPID")
    result = instance.deploy("v1", appspec)
    assert result["status"] == "Failed"
    assert result["failed_event"] == "AfterInstall"
    assert statuses(result)[-3:] == ["Failed", "Skipped", "Skipped"]
    assert "killed" in result["events"][4]["diagnostics"]["message"]
    assert lines_of(result)[-1]["finished"]
    assert instance.deploy("v2", instance.revision("v2"))["status"] == "Succeeded"


def test_an_unexpected_error_is_a_failed_event_with_its_detail_on_the_instance(instance: Instance) -> None:
    appspec = instance.revision("v1")
    appspec["hooks"] = {"AfterInstall": [{"no": "location"}]}
    result = instance.deploy("v1", appspec)
    diagnostics = result["events"][4]["diagnostics"]
    assert (result["failed_event"], diagnostics["error_code"]) == ("AfterInstall", "UnknownError")
    log = instance.root / "deployment-logs" / "agentless.codedeploy-errors.log"
    assert str(log) in diagnostics["message"] and "Traceback" not in diagnostics["message"]
    assert "Traceback" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_the_detached_process_has_nothing_of_the_connection(instance: Instance) -> None:
    probe = f"ls -l /proc/$PPID/fd > {instance.directory}/fds; ps -o sid= -p $PPID > {instance.directory}/sid"
    result = instance.deploy("v1", instance.revision("v1", "AfterInstall", script=probe))
    streams = (instance.directory / "fds").read_text()
    assert all(f"{number} -> /dev/null" in streams for number in (0, 1, 2))
    assert int((instance.directory / "sid").read_text()) == result["process"]["pid"]


def test_an_interrupt_of_the_module_leaves_the_events_running(instance: Instance) -> None:
    appspec = instance.revision("v1", "AfterInstall", script="sleep 2")
    pid = os.fork()
    if pid == 0:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        instance.deploy("v1", appspec)
        os._exit(0)
    log = instance.root / "g" / "d-v1" / "events.jsonl"
    wait_until(instance.ran.exists, "AfterInstall has begun")
    os.killpg(pid, signal.SIGHUP)
    os.waitpid(pid, 0)
    wait_until(lambda: b'"finished": true' in log.read_bytes(), "the events have ended")
    assert summary(EVENTS, read_lines(log.read_bytes()))["status"] == "Succeeded"


def test_a_parent_that_ignores_its_children_hides_no_failure(instance: Instance) -> None:
    appspec = instance.revision("v1", "AfterInstall", script="exit 3")
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert instance.deploy("v1", appspec)["failed_event"] == "AfterInstall"
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_the_lack_of_room_for_the_state_fails_an_event(instance: Instance) -> None:
    instance.root.mkdir()
    (instance.root / "ongoing-deployment").write_text("a file where a folder must be")
    result = instance.deploy("v1", instance.revision("v1"), events=["DownloadBundle"])
    assert result["failed_event"] == "DownloadBundle"
    assert "ongoing-deployment" in result["events"][0]["diagnostics"]["message"]


WITHOUT_ARCHIVE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import collection_loader
collection_loader.register_collection()
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_process import run_detached
lifecycle = Lifecycle(json.load(sys.stdin))
class Gone:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("ansible"):
            raise ImportError("the module's archive is gone: " + name)
sys.meta_path.insert(0, Gone)
json.dump(run_detached(lifecycle, 600), sys.stdout)
"""


def without_archive(options: dict[str, Any]) -> dict[str, Any]:
    """Run events in a new process that can import nothing of ours once they have begun."""
    command = [sys.executable, "-c", WITHOUT_ARCHIVE, str(Path(__file__).parents[3])]
    done = subprocess.run(command, input=json.dumps(options), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", ["tar", "tgz", "zip", "directory"])
def test_the_events_need_nothing_of_the_modules_archive(instance: Instance, kind: str) -> None:
    appspec = instance.revision("v1", *EVENTS)
    folder = instance.directory / "v1"
    (folder / "v1.link").symlink_to("v1.txt")
    appspec["files"].append({"source": "v1.link", "destination": str(instance.destination)})
    appspec["permissions"] = [
        permission(instance.destination, pattern="v1.link", mode="600", type=["file"]),
        permission(instance.destination, pattern="none", acls=["user:nobody:r--"]),
    ]
    options = instance.options("v1", appspec)
    if kind != "directory":
        path = instance.directory / "bundle"
        shape = {"tar": "tar", "tgz": "gztar", "zip": "zip"}[kind]
        options["bundle"] = {"type": kind, "path": shutil.make_archive(str(path), shape, folder)}
    result = without_archive({**options, "events": EVENTS[:3]})
    assert result["status"] == "Succeeded", result["events"]
    result = without_archive({**options, "events": EVENTS[3:], "appspec": None})
    assert result["status"] == "Succeeded", result["events"]
    result = without_archive({**options, "restore_on_failure": True})
    assert result["status"] == "Succeeded", result["events"]


def test_restoring_needs_nothing_of_the_modules_archive(instance: Instance) -> None:
    before = instance.revision("v1", *EVENTS)
    before["permissions"] = [permission(instance.destination, mode="600", type=["file"])]
    assert without_archive(instance.options("v1", before))["status"] == "Succeeded"
    after = instance.revision("v2", *EVENTS, script='[ "$LIFECYCLE_EVENT" != AfterInstall ]')
    result = without_archive(instance.options("v2", after, restore_on_failure=True))
    assert result["restored"]["status"] == "Succeeded", result["restored"]


def test_undoing_needs_nothing_of_the_modules_archive(instance: Instance) -> None:
    appspec = instance.revision("v1", *EVENTS)
    assert instance.deploy("v1", appspec)["status"] == "Succeeded"
    instructions = instance.root / "deployment-instructions"
    operations = [["attributes", str(instance.destination), [0o711, 0, 0, None], [0o755, *OWN, [None, None]]]]
    journal = {"state": "commit", "prefix": ".codedeploy-x-", "folders": [], "operations": operations}
    (instructions / "g-journal").write_bytes(seal(journal))
    instance.destination.chmod(0o711)
    result = without_archive(instance.options("v1", appspec, events=["ApplicationStop"]))
    assert result["status"] == "Succeeded", result["events"]
    assert not (instructions / "g-journal").exists()
    assert instance.destination.stat().st_mode & 0o777 == 0o755
