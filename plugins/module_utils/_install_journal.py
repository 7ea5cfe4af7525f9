# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal of Install: what is about to be done, on disk before it is done, and how it is undone or finished.

Everything new is prepared under names that begin with the prefix, beside where it will be; so is everything old that is
replaced or removed. States: V(staging): only such names were made, they are deleted. V(commit): the operations were
begun, all are undone. V(committed): the new version is in place, what is left of the old one is deleted.
"""

import contextlib
import errno
import os
import shutil
import stat
from typing import Any, Dict, List

from ansible_collections.agentless.codedeploy.plugins.module_utils._install_attributes import (
    add_context,
    remove_context,
    run,
    set_attributes,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_copy import Copied, copy_file
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_tree import (
    exists,
    is_folder,
    is_link,
    lstat,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import read_file, replace_file
from ansible_collections.agentless.codedeploy.plugins.module_utils._state_seal import seal, unseal
from ansible_collections.agentless.codedeploy.plugins.module_utils._state_sync import settle, sync_folder

STAGED = ".staged"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_NOT_LINKABLE = (errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)


def write_journal(instructions: Any, journal: Dict[str, Any]) -> None:
    """Put the journal on disk, for good."""
    replace_file(instructions.journal, seal(journal), 0o600)
    sync_folder(instructions.directory)


def recover(instructions: Any) -> str:
    """Undo or finish what an interrupted Install left.

    :returns: "" when there was nothing, V(committed) when the new version is in place, else V(undone).

    :raises OSError: when it cannot be done; the journal stays, the next call goes on from there.
    :raises ValueError: when the journal is not what was written; nothing it says is done then.
    """
    text = read_file(instructions.journal)
    if text is None:
        return ""
    journal = unseal(text)
    if journal is None:
        raise ValueError(
            "the file is damaged; see that the files of the last deployment are as they should be, delete what"
            " begins with .codedeploy- beside them, then delete the file"
        )
    if journal["state"] == "commit":
        undo(instructions, journal)
    if journal["state"] == "committed":
        finish(instructions, journal)
        return "committed"
    for path in instructions.installed:
        _unlink(path + STAGED)
    _end(instructions, journal)
    return "undone"


def _end(instructions: Any, journal: Dict[str, Any]) -> None:
    """Delete what this Install needed; the journal goes when that is on disk, for nothing else knows of it."""
    _sweep(journal)
    settle(journal["folders"], True)
    sync_folder(instructions.directory)
    os.unlink(instructions.journal)


def perform(operation: List[Any]) -> None:
    """Do one operation of the journal.

    C([place, path, new, old]) puts C(new) at C(path), what is there stays as C(old) unless that is None;
    C([exchange, path, new, old, uid]) does it for that user with what is another one's, and leaves that as C(new) or
    C(old);
    C([aside, path, old]) takes C(path) away; C([attributes, path, wanted, found]) sets C([mode, uid, gid, acls]);
    C([context, path, context]) and C([uncontext, path, context]) tell semanage.
    """
    kind, path = operation[:2]
    if kind == "place":
        new, old = operation[2:]
        if old is not None:
            keep(path, old)
        os.rename(new, path)
    elif kind == "exchange":
        exchange(path, operation[2], operation[3])
    elif kind == "aside":
        os.rename(path, operation[2])
    elif kind == "attributes":
        set_attributes(path, operation[2])
    elif kind == "context":
        add_context(path, operation[2])
        run(["restorecon", "-v", path])
    elif kind == "uncontext":
        remove_context(path)


def keep(path: str, old: str) -> None:
    """Have what is at a path under a second name, so that it can be replaced without being away for a moment.

    Where the file system or C(protected_hardlinks) refuses a second name, it is a copy, on disk before it is needed.
    """
    try:
        os.link(path, old, follow_symlinks=False)
        return
    except OSError as error:
        if error.errno not in _NOT_LINKABLE:
            raise
    status = os.lstat(path)
    try:
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(path), old)
            os.chown(old, status.st_uid, status.st_gid, follow_symlinks=False)
        elif stat.S_ISREG(status.st_mode):
            copy_file(path, old, Copied(status), 0o777, True)
            for name in os.listxattr(path):
                os.setxattr(old, name, os.getxattr(path, name))
    except PermissionError:
        # A file of somebody else, which only root could make again as it was; it is away until the new one is there.
        _unlink(old)
    if not exists(old):
        os.rename(path, old)


def exchange(path: str, new: str, old: str) -> None:
    """Have two names change places in one step; where the system cannot do that, the path is away for a moment.

    That is for another user's file, of which only root could make a second name or a copy that is like it.
    """
    try:
        import ctypes

        rename = ctypes.CDLL(None, use_errno=True).renameat2
        if not rename(_AT_FDCWD, os.fsencode(path), _AT_FDCWD, os.fsencode(new), _RENAME_EXCHANGE):
            return
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    except (ImportError, AttributeError):
        pass
    os.rename(path, old)
    os.rename(new, path)


def undo(instructions: Any, journal: Dict[str, Any]) -> None:
    """Take all operations back, whichever of them were done, and then remember that only sweeping is left."""
    for operation in reversed(journal["operations"]):
        _undo(operation)
    settle(journal["folders"], True)
    journal.update(state="staging", operations=[])
    write_journal(instructions, journal)


def _undo(operation: List[Any]) -> None:
    """Take one operation back; nothing happens when it was not done or is taken back already.

    C(new) is there until C(place) was done, and again after a C(place) of something that was not there before.
    """
    kind, path = operation[:2]
    if kind == "place":
        new, old = operation[2:]
        if old is None:
            if not exists(new) and exists(path):
                os.rename(path, new)
        elif exists(old):
            if exists(new) and exists(path):
                os.unlink(old)
            else:
                os.rename(old, path)
    elif kind == "exchange":
        # Everything new is the user's own, and what was there is not.
        for name in operation[2:4]:
            there = lstat(name)
            if there is not None and there.st_uid != operation[4]:
                os.rename(name, path)
    elif kind == "aside":
        if exists(operation[2]):
            os.rename(operation[2], path)
    elif kind == "attributes":
        if exists(path):
            set_attributes(path, operation[3])
    elif kind == "context":
        remove_context(path)
    elif kind == "uncontext" and operation[2] is not None:
        with contextlib.suppress(OSError):
            add_context(path, operation[2])


def finish(instructions: Any, journal: Dict[str, Any]) -> None:
    """Put the new state files in place, and delete what is left of the old version."""
    for path in instructions.installed:
        with contextlib.suppress(FileNotFoundError):
            os.rename(path + STAGED, path)
    for path, old, known in journal["folders_aside"]:
        _remove_known(path, old, known)
    _end(instructions, journal)


def _remove_known(path: str, old: str, known: List[List[str]]) -> None:
    """Delete a folder that was taken away; if somebody has put something in since, that stays where it was put."""
    files, folders = known
    for name in files:
        _unlink(os.path.join(old, name))
    for name in sorted(folders, key=len, reverse=True) + [""]:
        try:
            os.rmdir(os.path.join(old, name))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise
    if is_folder(old) and not exists(path):
        os.rename(old, path)


def _sweep(journal: Dict[str, Any]) -> None:
    """Delete everything under a name of this Install's own; C(left) has these names when they are few."""
    left = journal.get("left")
    if left is None:
        left = []
        for folder in journal["folders"]:
            # A folder that was removed may be a file or a symbolic link by now.
            names = os.listdir(folder) if is_folder(folder) else ()
            left += [os.path.join(folder, name) for name in names if name.startswith(journal["prefix"])]
    for path in left:
        if is_folder(path) and not is_link(path):
            shutil.rmtree(path)
        else:
            _unlink(path)


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)
