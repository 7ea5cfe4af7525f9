# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""POSIX access control lists of C(permissions): the complete list of one object, and setting and keeping them."""

import base64
import errno
import os
import subprocess
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

_BITS = {"r": 4, "w": 2, "x": 1}
_BATCH = 500


def full_acl(entries: Sequence[str], mode: int) -> List[str]:
    """Return what C(setfacl --set) is given: the AppSpec's entries and what they leave open, from the mode.

    As the agent does it: user, group and other come from the mode; with a named entry and no mask, the mask is the
    group's part of the mode; the same for the default entries when there is any. Computed for each object anew.

    :param entries: as in the parsed AppSpec: C([default:]tag:name:rwx).
    """
    bits = ["".join(c if mode >> shift & bit else "-" for c, bit in _BITS.items()) for shift in (6, 3, 0)]
    base = [entry for entry in entries if not entry.startswith("default:")]
    default = [entry[len("default:") :] for entry in entries if entry.startswith("default:")]
    full = base + ["user::" + bits[0], "group::" + bits[1], "other::" + bits[2]]
    if _named(base) and not _with(base, "mask:"):
        full.append("mask::" + bits[1])
    if default:
        default += [entry for entry in full[len(base) : len(base) + 3] if not _with(default, entry[:-3])]
        if _named(default) and not _with(default, "mask:"):
            default.append("mask::" + _with(default, "group::")[0][len("group::") :])
    return full + ["default:" + entry for entry in default]


def _named(entries: Iterable[str]) -> bool:
    return any(entry.split(":")[1] for entry in entries if entry.startswith(("user:", "group:")))


def _with(entries: Iterable[str], tag: str) -> List[str]:
    return [entry for entry in entries if entry.startswith(tag)]


def mode_with_acl(full: Sequence[str], mode: int) -> int:
    """Return the mode that lstat shows with a complete list: its group part is the mask."""
    for entry in _with(full, "mask::"):
        group = sum(bit for letter, bit in _BITS.items() if letter in entry[len("mask::") :])
        return mode & ~0o070 | group << 3
    return mode


def set_acls(objects: Iterable[Tuple[str, Sequence[str]]]) -> None:
    """Give each C((path, complete list)) its list.

    :raises OSError: with what setfacl said.
    """
    together: Dict[Tuple[str, ...], List[str]] = {}
    for path, full in objects:
        together.setdefault(tuple(full), []).append(path)
    for full_list, paths in together.items():
        for start in range(0, len(paths), _BATCH):
            run(["setfacl", "--set", ",".join(full_list), "--"] + paths[start : start + _BATCH])


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
