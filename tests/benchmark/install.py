# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU and memory of the events DownloadBundle and Install, as multiples of ``cp -a`` of the same tree beside it.

Both events run in one process, as in one call of the module; its start is not counted. Each Install stands between two
``cp -a``, and is a multiple of their mean: what else the machine does at that time, above all with its memory, adds to
all three. The median of these multiples is the figure. Everything is on one tmpfs.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmark.figures import Measurement, MeasurementError
from benchmark.instance_event import touch_memory

FOLDERS, FILES_A_FOLDER, SIZE = 500, 20, 4096
FILES = FOLDERS * FILES_A_FOLDER
CHANGED = FILES // 100
LARGE = 1 << 30
#: How often more than other figures these are measured, which are fractions of a second.
MORE_ROUNDS = 3
MEMORY_LIMIT = 100.0
#: What packs a folder for each bundle type.
PACK = {"tar": ["tar", "-cf"], "tgz": ["tar", "--use-compress-program=gzip -1", "-cf"]}
Identity = dict[str, tuple[int, int]]


def make_many(revision: Path) -> None:
    """Make 10,000 files of 4 KiB, each with a content of its own, in 500 folders, and a script."""
    for folder in range(FOLDERS):
        path = revision / f"folder{folder:03}"
        path.mkdir(parents=True)
        for number in range(FILES_A_FOLDER):
            (path / f"file{number:02}").write_bytes(os.urandom(SIZE))
    (revision / "folder000" / "script").write_text("#!/bin/sh\n")
    (revision / "folder000" / "script").chmod(0o755)


def make_large(revision: Path) -> None:
    """Make one file of 1 GiB."""
    revision.mkdir(parents=True)
    block = os.urandom(1 << 20)
    with open(revision / "large", "wb") as stream:
        for _number in range(LARGE >> 20):
            stream.write(block)


def change(revision: Path, number: int) -> None:
    """Give some of the files another content."""
    paths = sorted(revision.rglob("file*"))
    for path in paths[:: len(paths) // number]:
        path.write_bytes(os.urandom(SIZE))


class Instance:
    """A tree on a tmpfs, what deploys it there, and what each step has cost.

    :param work: empty directory on the tmpfs.
    """

    def __init__(self, work: Path, make: Callable[[Path], None]) -> None:
        self._work = work
        self.revision = work / "revision"
        make(self.revision)
        size = sum(path.stat().st_size for path in self.revision.rglob("*") if path.is_file())
        self._touched = (size >> 20) + 1
        self._root = work / "deployment-root"
        self._destination = work / "destination"
        self._deployments = 0
        self.cpu: dict[str, list[float]] = defaultdict(list)
        self._multiples: dict[str, list[float]] = defaultdict(list)
        self.memory = 0.0

    def copy(self) -> float:
        """Return the CPU of ``cp -a`` of the revision."""
        copy = self._work / "copy"
        touch_memory(self._work / "memory", self._touched)
        begin = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["cp", "-a", self.revision, copy], check=True)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        shutil.rmtree(copy)
        return end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime

    def deploy(self, name: str, written: int, bundle_type: str = "tar", script: bool = False) -> None:
        """Measure DownloadBundle and Install of the revision, with a ``cp -a`` before and after them.

        :param name: under which the CPU of the Install is kept.
        :param written: how many files it must write.
        :param script: run one between the two, which could change what was unpacked.
        :raises MeasurementError: when it has not written so many, or anything in the destination is not as it must be.
        """
        self._deployments += 1
        bundle = self._work / "bundle"
        subprocess.run([*PACK[bundle_type], bundle, "-C", self.revision, "."], check=True)
        copies = [self.copy()]
        before = self._identities()
        cost = self._run_events(script, {"type": bundle_type, "path": str(bundle), "remove_source": True})
        after = self._identities()
        self.cpu[f"DownloadBundle {bundle_type}"].append(cost["DownloadBundle"])
        self.cpu[name].append(cost["Install"])
        copies.append(self.copy())
        self._multiples[name].append(cost["Install"] / statistics.mean(copies))
        found = sum(before.get(path) != identity for path, identity in after.items())
        if found != written:
            raise MeasurementError(f"{name}: {found} files were written, not {written}")
        compare = ["diff", "-rq", str(self.revision), str(self._destination)]
        if subprocess.run(compare, stdout=subprocess.DEVNULL, check=False).returncode:
            raise MeasurementError(f"{name}: {self._destination} is not as {self.revision}")

    def _run_events(self, script: bool, bundle: dict[str, object]) -> dict[str, float]:
        options = self._work / "options.json"
        hook = {"location": "folder000/script", "timeout": 60, "runas": None, "sudo": None}
        appspec = {"version": 0.0, "os": "linux", "permissions": [], "hooks": {"BeforeInstall": [hook] * script}}
        appspec["files"] = [{"source": "/", "destination": str(self._destination)}]
        identity = {"deployment_id": f"d-{self._deployments:09}", "deployment_group_id": "group"}
        events = ["DownloadBundle", "BeforeInstall", "Install"]
        parameters = {"root": str(self._root), "appspec": appspec, "events": events, "bundle": bundle}
        options.write_text(json.dumps({**identity, **parameters}))
        program = Path(__file__).with_name("instance_event.py")
        command = [sys.executable, str(program), str(options), str(self._touched)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        result = json.loads(output)
        if result["problem"]:
            raise MeasurementError(str(result["problem"]))
        self.memory = max(self.memory, result["memory"])
        return dict(result["cpu"])

    def _identities(self) -> Identity:
        """Return inode and change time of every installed file."""
        found = {path: path.stat() for path in self._destination.rglob("*") if path.is_file()}
        return {str(path): (status.st_ino, status.st_ctime_ns) for path, status in found.items()}

    def forget(self) -> None:
        """Make the instance as it was before the first deployment."""
        shutil.rmtree(self._destination)
        shutil.rmtree(self._root)

    def ratio(self, name: str) -> float:
        """Return the median of an Install as a multiple of the two ``cp -a`` beside it."""
        return statistics.median(self._multiples[name])

    def seconds(self, name: str) -> float:
        """Return the median of a step."""
        return statistics.median(self.cpu[name])


def tmpfs() -> str:
    """Return a directory for temporary files in memory.

    :raises MeasurementError: when there is none; on a disk the figures would say something else.
    """
    if not os.access("/dev/shm", os.W_OK):
        raise MeasurementError("/dev/shm cannot be written to")
    return "/dev/shm"


def measure_many(rounds: int) -> Iterator[Measurement]:
    """Measure the first Install of many small files, the same revision again, and one with 1 % of them changed."""
    with tempfile.TemporaryDirectory(prefix="codedeploy-benchmark-", dir=tmpfs()) as work:
        instance = Instance(Path(work), make_many)
        for _round in range(MORE_ROUNDS * rounds):
            instance.deploy("first", FILES + 1)
            instance.deploy("again", 0)
            change(instance.revision, CHANGED)
            instance.deploy("changed", CHANGED, "tgz")
            instance.deploy("after a script", 0, script=True)
            instance.forget()
        yield Measurement("install: 10,000 files of 4 KiB, CPU as a multiple of cp -a", instance.ratio("first"), 2.0)
        yield Measurement("install: the same again, CPU as a multiple of cp -a", instance.ratio("again"), 0.5)
        yield Measurement("install: 1 % of them changed, CPU as a multiple of cp -a", instance.ratio("changed"), 0.6)
        between = instance.ratio("after a script")
        yield Measurement("install: the same again after a script, CPU as a multiple of cp -a", between, None)
        yield Measurement("install: 10,000 files, MiB of memory at most", instance.memory, MEMORY_LIMIT)
        for kind in PACK:
            seconds = instance.seconds(f"DownloadBundle {kind}")
            yield Measurement(f"download: {kind} of 10,000 files of 4 KiB, seconds of CPU", seconds, None)


def measure_large(rounds: int) -> Iterator[Measurement]:
    """Measure the Install of one large file."""
    with tempfile.TemporaryDirectory(prefix="codedeploy-benchmark-", dir=tmpfs()) as work:
        instance = Instance(Path(work), make_large)
        for _round in range(rounds):
            instance.deploy("first", 1)
            instance.forget()
        yield Measurement("install: one file of 1 GiB, CPU as a multiple of cp -a", instance.ratio("first"), 1.3)
        yield Measurement("install: one file of 1 GiB, MiB of memory at most", instance.memory, MEMORY_LIMIT)
        seconds = instance.seconds("DownloadBundle tar")
        yield Measurement("download: tar of one file of 1 GiB, seconds of CPU", seconds, None)
