# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DownloadBundle, and a whole run of lifecycle events, are stopped at every one of their file system calls.

What Install itself does is tried in the same way by the tests of Install.
"""

from __future__ import annotations

import fcntl
import gc
import hashlib
import itertools
import os
import shutil
import signal
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.faults import FAILED, FAULTS, FEWER_FAULTS, REFUSED, SUCCEEDED, Faults
from support.install_trees import make_tree, memory_folder, snapshot
from support.waiting import LONGEST
from support.web_server import serve

from ansible_collections.agentless.codedeploy.plugins.module_utils import _lifecycle_revision
from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks_process import refuse_orphan
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import EventLog
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_process import run_detached
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import StateError

KINDS = ["zip", "tar", "directory", "cached", "pushed", "url", "the same deployment again"]
EVENTS = ["DownloadBundle", "Install", "AfterInstall"]
HALF_DONE = (".new", ".old", "-removed", "-ongoing", "-journal", ".staged")
EVERY_FAULT = os.environ.get("CODEDEPLOY_TEST_EVERY_FAULT") == "1"
# Else each third call, another third with each fault, except of zip archives.
ALL_POINTS = os.environ.get("CODEDEPLOY_TEST_ALL_POINTS") == "1"
FAULTS_TRIED = FAULTS if EVERY_FAULT else FEWER_FAULTS
TREE = {"top/appspec.yml": "kept", "top/a": "a", "top/folder/b": ("mode", 0o755, "b"), "top/link": ("link", "a")}


class Instance:
    """An instance with a good deployment on it, and bundles of every kind to deploy next."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "root"
        self.destination = directory / "destination"
        self.number = 0
        self.good = ""
        folder = make_tree(directory / "bundle", TREE) / "top"
        (folder / "s.sh").write_text("#!/bin/sh\necho said\n")
        self.unpacked = snapshot(folder)
        with zipfile.ZipFile(directory / "b.zip", "w") as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_symlink():
                    member = zipfile.ZipInfo(f"top/{path.name}")
                    member.create_system, member.external_attr = 3, path.lstat().st_mode << 16
                    archive.writestr(member, os.readlink(path))
                else:
                    archive.write(path, path.relative_to(folder.parent))
        with tarfile.open(directory / "b.tar", "w") as tar:
            tar.add(folder, "top")
        self.digest = hashlib.sha256((directory / "b.tar").read_bytes()).hexdigest()
        self.url = ""

    def bundle(self, kind: str) -> dict[str, Any]:
        if kind == "directory" or kind not in KINDS or kind == KINDS[-1]:
            return {"type": "directory", "path": str(self.directory / "bundle" / "top")}
        if kind == "url":
            return {"type": "tar", "url": self.url, "headers": {"X-Token": "t"}, "checksum": "sha256:" + self.digest}
        if kind in ("cached", "pushed"):
            pushed = self.directory / "pushed"
            shutil.copyfile(self.directory / "b.tar", pushed)
            return {"type": "tar", "digest": self.digest, "path": str(pushed), "remove_source": True}
        return {"type": kind, "path": str(self.directory / f"b.{kind}")}

    def options(self, kind: str, deployment: str, events: list[str]) -> dict[str, Any]:
        hook = {"location": "s.sh", "timeout": 60, "runas": None, "sudo": None}
        name = self.destination / deployment
        files = [{"source": "a", "destination": str(name)}]
        appspec = {"version": 0.0, "os": "linux", "hooks": {"AfterInstall": [hook]}, "files": files, "permissions": []}
        return {
            "deployment_id": deployment,
            "deployment_group_id": "g",
            "root": str(self.root),
            "bundle": self.bundle(kind),
            "appspec": appspec,
            "events": events,
            "revisions_to_keep": 2,
        }

    def run(self, kind: str, deployment: str, *events: str) -> int:
        """Run events in this process, with all that a call does around them."""
        lifecycle = Lifecycle(self.options(kind, deployment, list(events)))
        try:
            lock = lifecycle.root.lock("g", f"deployment {deployment}")
            lifecycle.root.sweep("g")
            os.makedirs(lifecycle.paths.directory, exist_ok=True)
            log = EventLog(lifecycle.paths.events, deployment)
            lifecycle.run(log)
            status = log.lines()[-1]["status"]
            log.close()
            os.close(lock)
        except (OSError, StateError):
            return REFUSED
        return SUCCEEDED if status == "Succeeded" else FAILED

    def deploy_next(self, point: tuple[str, int]) -> None:
        """Deploy once more: it must succeed, be the only version, and find or leave nothing of what was stopped."""
        self.number += 1
        self.good = f"d-good{self.number}"
        assert self.run("directory", self.good, *EVENTS[:2]) == SUCCEEDED, point
        assert os.listdir(self.destination) == [self.good], point
        assert os.listdir(self.destination / self.good) == ["a"], point
        assert self.pointer("last_successful_install") == self.pointer("most_recent_install") == self.good, point
        names = [name for name in snapshot(self.root) if name.endswith(HALF_DONE) or "/.codedeploy-" in name]
        assert names == [], point
        assert os.listdir(self.root / "ongoing-deployment") == [], point
        cache = self.root / "bundle-cache"
        for path in cache.iterdir() if cache.exists() else ():
            assert path.name == self.digest, point

    def wait_for_what_goes_on(self) -> None:
        """Wait for the end of events whose module was killed, and of a script whose events were killed."""
        limit = time.monotonic() + LONGEST
        with (self.root / "deployment-instructions" / "g-lock").open("r") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    lock.seek(0)
                    refuse_orphan(lock.read())
                    return
                except (BlockingIOError, StateError):
                    assert time.monotonic() < limit
                    time.sleep(0.01)

    def pointer(self, name: str) -> str:
        return Path((self.root / "deployment-instructions" / f"g_{name}").read_text()).name

    def check(self, deployment: str, point: tuple[str, int]) -> None:
        """Check what must hold while an instance is as a stopped DownloadBundle left it."""
        assert os.listdir(self.destination) == [self.good], point
        assert self.pointer("last_successful_install") == self.good, point
        archives = [self.root / "g" / name / "deployment-archive" for name in sorted({deployment, self.good})]
        for archive in archives:
            if archive.exists():
                assert set(snapshot(archive)) == set(self.unpacked), point
        if self.pointer("most_recent_install") == deployment:
            assert archives[0].exists() and archives[1 - len(archives)].exists(), point


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    with memory_folder(tmp_path) as directory:
        made = Instance(directory)
        # The processes that are forked by the hundred have nothing to collect.
        gc.collect()
        gc.freeze()
        for _number in range(2):
            made.deploy_next(("", 0))
        yield made
        gc.unfreeze()


@pytest.fixture
def server(instance: Instance) -> Iterator[None]:
    """Serve a bundle from a process of its own: threads and the forks of these tests do not go together."""
    receiver, sender = os.pipe()
    pid = os.fork()
    if pid == 0:
        with serve("/b.tar", (instance.directory / "b.tar").read_bytes(), "t") as (url, _answers):
            os.write(sender, url.encode())
            signal.pause()
    instance.url = os.read(receiver, 200).decode()
    os.close(receiver)
    os.close(sender)
    yield
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def report_points(what: str, points: int, record_property: Any) -> None:
    """Say how many points were tried; next to nothing was tried if the counting itself failed."""
    record_property("points", points)
    print(f"{what}: {points} points, none failed")
    assert points > (100 if ALL_POINTS else 30)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("kind", KINDS)
def test_download_bundle_is_stopped_at_every_call(instance: Instance, kind: str, record_property: Any) -> None:
    points = 0
    assert instance.run(kind, "d-first", "DownloadBundle") == SUCCEEDED  # all that it takes is loaded by now
    for first, fault in enumerate(FAULTS_TRIED, 1):
        for point in itertools.count(first, 1 if ALL_POINTS or kind == "zip" else 3):
            at = (fault, point)
            deployment = instance.good if kind == KINDS[-1] else f"d-{point}-{fault[-5:].strip()}"
            if kind == "cached":
                assert instance.run("pushed", "d-cached", "DownloadBundle") == SUCCEEDED, at
            elif (instance.root / "bundle-cache").exists():
                shutil.rmtree(instance.root / "bundle-cache")
            faults = Faults(point, fault)

            def run(faults: Faults = faults, deployment: str = deployment) -> int:
                faults.only_in(_lifecycle_revision, "download_bundle")
                return instance.run(kind, deployment, "DownloadBundle")

            status = faults.run(run)
            if not faults.reached:
                assert status == SUCCEEDED, at
                break
            points += 1
            assert status == -signal.SIGKILL if "kill" in fault else status in (SUCCEEDED, FAILED, REFUSED), at
            if kind != KINDS[-1]:
                instance.check(deployment, at)
            instance.deploy_next(at)
    report_points(f"DownloadBundle of {kind}, {len(FAULTS_TRIED)} faults", points, record_property)


@pytest.mark.parametrize("process", ["module", "events"])
def test_a_run_is_stopped_at_every_call(instance: Instance, process: str, record_property: Any) -> None:
    points = 0
    for first, fault in enumerate(FAULTS_TRIED, 1):
        for point in itertools.count(first, 1 if ALL_POINTS else 3):
            at = (fault, point)
            faults = Faults(point, fault, in_fork=process == "events")
            before = instance.good
            deployment = f"d-{point}-{fault[-5:].strip()}"

            def run(faults: Faults = faults, deployment: str = deployment) -> int:
                for name in ("plan_install", "apply_install"):
                    faults.only_in(_lifecycle_revision, name, inside=False)
                try:
                    options = instance.options("directory", deployment, EVENTS)
                    result = run_detached(Lifecycle(options), LONGEST)
                    return SUCCEEDED if result["status"] == "Succeeded" else FAILED
                except OSError:
                    return REFUSED

            status = faults.run(run)
            if not faults.reached:
                assert status == SUCCEEDED, at
                instance.good = deployment
                break
            points += 1
            instance.wait_for_what_goes_on()
            last = instance.pointer("last_successful_install")
            there = os.listdir(instance.destination)
            assert len(there) == 1 and there[0] in (before, deployment), at
            assert last in (before, there[0]), at
            if status == SUCCEEDED:
                assert last == there[0] == deployment, at
            instance.deploy_next(at)
    report_points(
        f"a whole run, the {'module' if process == 'module' else 'process of the events'}, {len(FAULTS_TRIED)} faults",
        points,
        record_property,
    )
