# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""POSIX access control lists of C(permissions): the complete list of one object, and setting it."""

from typing import Dict, Iterable, List, Sequence, Tuple

from ansible_collections.agentless.codedeploy.plugins.module_utils._install_attributes import BITS, run

_BATCH = 500


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
