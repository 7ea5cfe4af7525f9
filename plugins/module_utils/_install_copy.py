# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writing one file with as few system calls as it takes."""

import errno
import hashlib
import os
from typing import Any, Tuple

_SMALL = 1 << 18
_BLOCK = 1 << 20


class Copied:
    """What C(copy_file) must know to make a file again as it is."""

    def __init__(self, status: os.stat_result) -> None:
        self.size = status.st_size
        self.mode = status.st_mode & 0o7777
        self.uid = status.st_uid
        self.gid = status.st_gid
        self.times = (status.st_atime_ns, status.st_mtime_ns)
        self.sha256 = "-"  # nobody asks


def copy_file(source: str, destination: str, write: Any, umask: int, durable: bool) -> Tuple[str, os.stat_result]:
    """Write a new file with content, owner, mode and times.

    :param write: C(size), C(mode), C(uid), C(gid), C(times) and C(sha256) of the file; V(None) is computed.
    :param durable: whether to wait until it is on disk.
    :returns: its sha256 and its fstat.
    :raises OSError: also when the source is not as long as planned.
    """
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Until owner and mode are set nobody else may open it.
        plain = write.mode & 0o7000 == 0 and write.mode & umask == 0
        writing = os.open(
            destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, write.mode if plain else 0o600
        )
        try:
            sha256 = _content(reading, writing, write.size, write.sha256, source)
            os.utime(writing, ns=write.times)
            status = os.fstat(writing)
            other = status.st_uid != write.uid or status.st_gid != write.gid
            if other:
                os.fchown(writing, write.uid, write.gid)
            if other or status.st_mode & 0o7777 != write.mode:
                os.fchmod(writing, write.mode)
                status = os.fstat(writing)
            if durable:
                os.fsync(writing)
            return sha256, status
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _content(reading: int, writing: int, size: int, sha256: Any, source: str) -> str:
    if size <= _SMALL:
        data = os.read(reading, size) if size else b""
        if len(data) != size:
            raise _changed(source)
        if size and os.write(writing, data) != size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), source)
        return sha256 or hashlib.sha256(data).hexdigest()
    if sha256:
        _send(reading, writing, size, source)
        return sha256
    digest = hashlib.sha256()
    left = size
    while left:
        data = os.read(reading, min(left, _BLOCK))
        if not data:
            raise _changed(source)
        digest.update(data)
        left -= len(data)
        while data:
            data = data[os.write(writing, data) :]
    return digest.hexdigest()


def _send(reading: int, writing: int, size: int, source: str) -> None:
    """Have the system copy, which may share the blocks instead; read and write where it cannot."""
    left = size
    copy = getattr(os, "copy_file_range", None)
    while left:
        try:
            sent = copy(reading, writing, left) if copy is not None else os.sendfile(writing, reading, None, left)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            if copy is None:
                raise
            copy = None
            continue
        if not sent:
            raise _changed(source)
        left -= sent


def _changed(source: str) -> OSError:
    return OSError(errno.EIO, "the file became shorter while it was copied", source)
