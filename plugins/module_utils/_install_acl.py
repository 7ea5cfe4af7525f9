# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""POSIX access control lists of C(permissions): the complete list of one object, and setting it."""

import errno
import os
import struct
from grp import getgrnam
from pwd import getpwnam
from typing import Dict, Iterable, List, Optional, Sequence, Set, Tuple

from ansible_collections.agentless.codedeploy.plugins.module_utils._install_attributes import BITS, run

_BATCH = 500
_Entry = Tuple[str, Optional[int], int]
#: The tags of C(acl_ea_entry) in the kernel's posix_acl_xattr.h.
_TAGS = {1: "user", 2: "user", 4: "group", 8: "group", 16: "mask", 32: "other"}
_NAMED = (2, 8)
_BASE = 3


def full_acl(entries: Sequence[str], mode: int) -> List[str]:
    """Return what C(setfacl --set) is given: the AppSpec's entries and what they leave open, from the mode.

    As the agent does it: user, group and other come from the mode; with a named entry and no mask, the mask is the
    group's part of the mode; the same for the default entries when there is any. Computed for each object anew.

    :param entries: as in the parsed AppSpec: C([default:]tag:name:rwx).
    """
    bits = ["".join(c if mode >> shift & bit else "-" for c, bit in BITS.items()) for shift in (6, 3, 0)]
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


def with_mode(full: Sequence[str], mode: int) -> List[str]:
    """Return what C(chmod) makes of a complete list: where there is a mask, the group's part of the mode is that."""
    bits = ["".join(c if mode >> shift & bit else "-" for c, bit in BITS.items()) for shift in (6, 3, 0)]
    changed = {"user::": bits[0], "mask::" if _with(full, "mask::") else "group::": bits[1], "other::": bits[2]}
    return [entry[:-3] + changed.get(entry[:-3], entry[-3:]) for entry in full]


def _named(entries: Iterable[str]) -> bool:
    return any(entry.split(":")[1] for entry in entries if entry.startswith(("user:", "group:")))


def _with(entries: Iterable[str], tag: str) -> List[str]:
    return [entry for entry in entries if entry.startswith(tag)]


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


def has_acl(path: str, full: Sequence[str], default: bool = True) -> bool:
    """Return whether an object has a complete list already; an empty one is none at all.

    :param default: compare its default entries, too, also if the list has none.
    """
    wanted: Dict[str, Set[_Entry]] = {"access": set(), "default": set()}
    try:
        for entry in full:
            kind = "default" if entry.startswith("default:") else "access"
            wanted[kind].add(_with_id(entry[len("default:") :] if kind == "default" else entry))
    except (KeyError, ValueError):
        # A name that this instance does not know; setfacl will say so.
        return False
    if len(wanted["access"]) == _BASE:
        wanted["access"] = set()  # as the mode says
    kinds = ["access"] + ["default"] * bool(default or wanted["default"])
    return all(_entries(path, kind) == wanted[kind] for kind in kinds)


def _with_id(entry: str) -> _Entry:
    tag, name, letters = entry.split(":")
    number = None
    if name:
        number = int(name) if name.isdigit() else getpwnam(name).pw_uid if tag == "user" else getgrnam(name).gr_gid
    return tag, number, sum(bit for letter, bit in BITS.items() if letter in letters)


def _entries(path: str, kind: str) -> Set[_Entry]:
    """Return one of an object's lists as the system keeps it, without an entry where there is none."""
    try:
        value = os.getxattr(path, "system.posix_acl_" + kind)
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
            raise
        return set()
    found = struct.iter_unpack("<HHI", value[4:])
    return {(_TAGS[tag], number if tag in _NAMED else None, bits) for tag, bits, number in found}
