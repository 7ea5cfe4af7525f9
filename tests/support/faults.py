# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults at the n-th file system call of a process: it is killed before or after the call, or the call is refused."""

from __future__ import annotations

import builtins
import errno
import io
import mmap
import os
import signal
import sys
import tarfile
from collections.abc import Callable
from typing import Any

ERRNOS = ["ENOSPC", "EIO", "EACCES"]
FAULTS = ["kill before", "kill after", *ERRNOS]
# Each call once: what comes after it is what comes before the next one; the errnos take turns.
FEWER_FAULTS = ["kill before", "errno"]
CALLS = (
    "open close read write pread pwrite copy_file_range sendfile fstat lstat stat scandir listdir readlink symlink link"
    " rename unlink rmdir mkdir chmod chown lchown fchmod fchown utime fsync fdopen statvfs access ftruncate lseek"
).split()
PRODUCT = "ansible_collections.agentless.codedeploy.plugins.module_utils."
# On whose behalf a call is made: the product's, or that of what it uses for files.
CALLERS = {"shutil", "tarfile", "zipfile", "os", "posixpath", "genericpath", "support.faults"}
SUCCEEDED, FAILED, REFUSED = 0, 3, 4


class Faults:
    """Stands in front of the file system calls of a process that was forked for it.

    :param point: number of the call, from 1.
    :param fault: one of ``FAULTS`` or ``FEWER_FAULTS``.
    :param in_fork: count in the process that this one forks, and not in itself.
    """

    def __init__(self, point: int, fault: str, in_fork: bool = False) -> None:
        self._point = point
        self._fault = ERRNOS[point % len(ERRNOS)] if fault == "errno" else fault
        self._in_fork = in_fork
        self._count = 0
        self._counts = True
        self._process = 0
        self._reached = mmap.mmap(-1, 1)

    @property
    def reached(self) -> bool:
        """Whether there was such a call; known to all processes."""
        return self._reached[0] != 0

    def run(self, work: Callable[[], int]) -> int:
        """Do some work in a child, which makes the calls; return its status, negative when it was killed."""
        child = os.fork()
        if child == 0:
            status = 99
            try:
                self._install()
                status = work()
            finally:
                os._exit(status)
        _pid, result = os.waitpid(child, 0)
        return -os.WTERMSIG(result) if os.WIFSIGNALED(result) else os.WEXITSTATUS(result)

    def only_in(self, module: Any, name: str, inside: bool = True) -> None:
        """Count only while a function of a module runs, or only while it does not."""
        real = getattr(module, name)

        def watched(*arguments: Any, **keywords: Any) -> Any:
            before, self._counts = self._counts, inside
            try:
                return real(*arguments, **keywords)
            finally:
                self._counts = before

        self._counts = not inside
        setattr(module, name, watched)

    def _install(self) -> None:
        self._process = 0 if self._in_fork else os.getpid()
        for name in CALLS:
            real = getattr(os, name)
            replacement = self._wrapped(real)
            setattr(os, name, replacement)
            for functions in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
                if real in functions:
                    functions.add(replacement)
        real_fork = os.fork

        def fork() -> int:
            pid = real_fork()
            if pid == 0 and self._in_fork:
                self._process = os.getpid()
            return pid

        os.fork = fork
        opened = self._opener(io.open)
        builtins.open = io.open = tarfile.bltn_open = opened  # type: ignore[assignment, attr-defined]  # stand-ins

    def _wrapped(self, real: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            return self._step(sys._getframe(1), real, *arguments, **keywords)

        return call

    def _step(self, frame: Any, real: Any, *arguments: Any, **keywords: Any) -> Any:
        caller = frame.f_globals["__name__"]
        ours = caller.startswith(PRODUCT) and not (caller.endswith("._hooks") and real.__name__ in ("read", "close"))
        if not self._counts or os.getpid() != self._process or not (ours or caller in CALLERS):
            return real(*arguments, **keywords)
        self._count += 1
        if self._count != self._point:
            return real(*arguments, **keywords)
        self._reached[0] = 1
        if self._fault == "kill before":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._fault == "kill after":
            try:
                real(*arguments, **keywords)
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, self._fault)
        raise OSError(number, os.strerror(number), "injected")

    def _opener(self, real: Any) -> Any:
        faults = self

        class File(io.FileIO):
            """A file whose reads and writes are counted; its being closed is no call that can be refused."""

            def readinto(self, buffer: Any) -> Any:
                return faults._step(sys._getframe(1), super().readinto, buffer)

            def readall(self) -> Any:
                return faults._step(sys._getframe(1), super().readall)

            def write(self, data: Any) -> Any:
                return faults._step(sys._getframe(1), super().write, data)

        def opened(file: Any, mode: str = "r", buffering: int = -1, *arguments: Any, **keywords: Any) -> Any:
            frame = sys._getframe(1)
            if "b" not in mode:
                return faults._step(frame, real, file, mode, buffering, *arguments, **keywords)
            raw = faults._step(frame, File, file, mode.replace("b", ""))
            if buffering == 0:
                return raw
            kind = io.BufferedRandom if "+" in mode else io.BufferedReader if "r" in mode else io.BufferedWriter
            return kind(raw)

        return opened
