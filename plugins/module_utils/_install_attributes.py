# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mode, owner, access control lists and SELinux context of an object: reading and setting them."""

import base64
import contextlib
import errno
import os
import subprocess
from typing import Any, Dict, List, Optional, Sequence

from ansible_collections.agentless.codedeploy.plugins.module_utils._install_tree import lstat

BITS = {"r": 4, "w": 2, "x": 1}


def shown_mode(mode: int, acl: Sequence[str]) -> int:
    """Return the mode that lstat shows under a complete ACL, [] for none: its group part is the mask."""
    for entry in acl:
        if entry.startswith("mask::"):
            return mode & ~0o070 | sum(bit for letter, bit in BITS.items() if letter in entry[len("mask::") :]) << 3
    return mode


def run(arguments: Sequence[str]) -> None:
    """Run a command of the system.

    :raises OSError: with what it said when it failed.
    """
    process = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, close_fds=True
    )
    output = process.communicate()[0].decode("utf-8", "replace").strip()
    if process.returncode:
        raise OSError(errno.EIO, "%s failed (%d): %s" % (arguments[0], process.returncode, output[-500:]))


def read_acls(path: str) -> List[Optional[str]]:
    """Return access and default list of an object as base64, V(None) where it has none."""
    values: List[Optional[str]] = []
    for name in ("system.posix_acl_access", "system.posix_acl_default"):
        try:
            values.append(base64.b64encode(os.getxattr(path, name)).decode("ascii"))
        except OSError:
            values.append(None)
    return values


def write_acls(path: str, values: Sequence[Optional[str]]) -> None:
    """Make access and default list what C(read_acls) said; V(None) removes one."""
    for name, value in (("system.posix_acl_access", values[0]), ("system.posix_acl_default", values[1])):
        if value is not None:
            os.setxattr(path, name, base64.b64decode(value))
            continue
        try:
            os.removexattr(path, name)
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP, errno.EPERM):
                raise


def attributes(path: str) -> List[Any]:
    """Return mode, uid, gid and ACLs of an object as C(set_attributes) takes them."""
    status = os.stat(path)
    return [status.st_mode & 0o7777, status.st_uid, status.st_gid, read_acls(path)]


def set_attributes(path: str, wanted: List[Any]) -> None:
    """Set owner, mode and, unless None, the ACLs; the owner first, because changing it clears setuid."""
    mode, uid, gid, acls = wanted
    status = lstat(path)
    if status is None or (status.st_uid, status.st_gid) != (uid, gid):
        os.chown(path, uid, gid)
    if acls is not None:
        write_acls(path, acls)
    os.chmod(path, mode)


def add_context(path: str, context: Dict[str, Any]) -> None:
    """Make the SELinux context of a path known to the system.

    :raises OSError: with what semanage said.
    """
    arguments = ["semanage", "fcontext", "-a"]
    for option, key in (("-s", "user"), ("-t", "type"), ("-r", "range")):
        if context.get(key):
            arguments += [option, str(context[key])]
    run(arguments + ["--", path])


def remove_context(path: str) -> None:
    """Make the system forget a path's context; one that it does not know is no error."""
    with contextlib.suppress(OSError):
        run(["semanage", "fcontext", "-d", "--", path])
