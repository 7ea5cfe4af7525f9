# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A power loss as far as a test can make one: what a process did is recorded, and done again without what it had not
brought to disk.

The model is stricter than any file system in use. Of the names of each folder the changes since its last fsync are
lost from some point on, in each folder from another one; only a folder that is gone is gone with all that was in it.
The content of a file is there only if the file was synced; else the file is empty, under whatever name it has by then.
"""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Random = random.Random


@dataclass
class Step:
    """One thing that was done: a change of a folder's names, the content of a file that was synced, or a sync."""

    call: str
    folder: str
    arguments: tuple[Any, ...]


class Recorder:
    """Stands in front of the calls of ``os`` in a child and notes what they change and sync."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._paths: dict[int, str] = {}

    def install(self) -> None:
        """Put the recorder in front of the calls."""
        for name in ("open", "close", "fsync", "mkdir", "rmdir", "unlink", "symlink", "link", "rename", "chmod"):
            setattr(os, name, self._wrap(name, getattr(os, name)))
        os.supports_follow_symlinks.add(os.link)

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            if keywords.get("dir_fd") is not None:
                # shutil.rmtree goes from folder to folder by their descriptors.
                arguments = (os.path.join(self._paths[keywords.pop("dir_fd")], arguments[0]), *arguments[1:])
            result = real(*arguments, **keywords)
            self._note(name, result, arguments)
            return result

        return call

    def _note(self, name: str, result: Any, arguments: tuple[Any, ...]) -> None:
        if name == "open":
            self._paths[result] = arguments[0]
            if arguments[1] & os.O_CREAT:
                self._add("create", arguments[0])
        elif name == "close":
            self._paths.pop(arguments[0], None)
        elif name == "fsync":
            self._sync(arguments[0])
        else:
            self._add(name, *arguments[:2])

    def _add(self, call: str, *arguments: Any) -> None:
        paths = [argument.rstrip("/") if isinstance(argument, str) else argument for argument in arguments]
        changed = paths[1] if call in ("link", "rename", "symlink") else paths[0]
        self.steps.append(Step(call, os.path.dirname(changed), tuple(paths)))

    def _sync(self, descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if os.path.isdir(path):
            self.steps.append(Step("sync", path, ()))
            return
        with open(path, "rb") as stream:
            content = stream.read()
        status = os.stat(path)
        self.steps.append(Step("content", "", (path, content, status)))


def record(work: Callable[[], object]) -> list[Step]:
    """Do something in a child and return what it did."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            recorder = Recorder()
            recorder.install()
            work()
            with os.fdopen(writing, "wb") as stream:
                pickle.dump(recorder.steps, stream)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        steps = pickle.load(stream)
    assert os.waitpid(child, 0)[1] == 0
    return steps


def survivors(steps: list[Step], chance: Random | None) -> list[Step]:
    """Return the steps that are on disk if the power fails after them.

    :param chance: how much of what was not synced is there all the same, in each folder; None for nothing.
    """
    kept: dict[str, int] = {}
    for number, step in enumerate(steps):
        if step.call == "sync":
            kept[step.folder] = number
    for folder in {step.folder for step in steps}:
        open_steps = [
            number for number, step in enumerate(steps) if step.folder == folder and number > kept.get(folder, -1)
        ]
        if chance is not None and open_steps:
            kept[folder] = ([kept.get(folder, -1), *open_steps])[chance.randint(0, len(open_steps))]
    # Deeper ones come first: a folder is removed after what is in it.
    for number, step in enumerate(steps):
        if step.call == "rmdir" and number <= kept.get(step.folder, -1):
            for folder in {each.folder for each in steps}:
                if (folder + "/").startswith(step.arguments[0] + "/"):
                    kept[folder] = max(kept.get(folder, -1), number)
    return [step for number, step in enumerate(steps) if step.call == "content" or number <= kept.get(step.folder, -1)]


def repeat(steps: list[Step]) -> None:
    """Do recorded steps again; one whose ground was lost is lost, too."""
    for step in steps:
        try:
            _repeat(step)
        except OSError:
            continue


def _repeat(step: Step) -> None:
    if step.call == "sync":
        return
    if step.call == "create":
        os.close(os.open(step.arguments[0], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    elif step.call == "content":
        path, content, status = step.arguments
        with open(os.open(path, os.O_WRONLY | os.O_TRUNC), "wb") as stream:
            stream.write(content)
        os.chown(path, status.st_uid, status.st_gid)
        os.chmod(path, status.st_mode & 0o7777)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif step.call == "link":
        os.link(*step.arguments, follow_symlinks=False)
    else:
        getattr(os, step.call)(*step.arguments)
