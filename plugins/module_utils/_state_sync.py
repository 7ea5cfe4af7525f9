# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting until what was written is on disk, so that it is there after a power loss."""

import os
import stat
from contextlib import suppress
from typing import Collection, Dict, Iterable

from ansible_collections.agentless.codedeploy.plugins.module_utils._install_tree import is_folder, lstat

#: So many files or folders are brought to disk one by one; for more, the whole file system costs less.
FEW = 64


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def settle(folders: Collection[str], durable: bool) -> None:
    """Wait until what was done in some folders is on disk: each folder when there are few, else whole file systems.

    :param durable: whether the files in them are on disk already.
    """
    devices: Dict[int, str] = {}
    for path in folders:
        if durable and len(folders) <= FEW:
            if is_folder(path):
                sync_folder(path)
            continue
        status = lstat(path)
        if status is not None and stat.S_ISDIR(status.st_mode):
            devices[status.st_dev] = path
        elif is_folder(path):
            devices[os.stat(path).st_dev] = path
    for path in devices.values():
        _sync_file_system(path)


def settle_tree(top: str, files: Collection[str], folders: Iterable[str]) -> None:
    """Wait until a new tree on one file system is on disk.

    :param files: their paths, relative to C(top).
    :param folders: theirs, V("") for C(top) itself.
    """
    paths = [os.path.join(top, folder) if folder else top for folder in folders]
    if len(files) + len(paths) > FEW:
        _sync_file_system(top)
        return
    # What this user may not read cannot be deployed by this user, either.
    for name in files:
        with suppress(PermissionError):
            _sync(os.path.join(top, name), os.O_RDONLY)
    for path in paths:
        with suppress(PermissionError):
            sync_folder(path)


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_file_system(path: str) -> None:
    """Flush one file system; all of them where this system offers only that."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        import ctypes

        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    except (ImportError, AttributeError):
        os.sync()
    finally:
        os.close(descriptor)
