# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries of ``permissions[].acls`` of an AppSpec file."""

from typing import List, Tuple

_DEFAULT = ("d", "default")
_TYPES = {
    "u": "user",
    "user": "user",
    "g": "group",
    "group": "group",
    "m": "mask",
    "mask": "mask",
    "o": "other",
    "other": "other",
}
_NAMELESS = {"m": "mask", "mask": "mask", "o": "other", "other": "other"}

FORM = "write [default:][user|group|mask|other:][name]:permissions, for example user:bob:rw-"
BASE_ENTRY = "the entries of the owner, the group and others without a name are set by mode; use mode"
PERMISSIONS = "the permissions are letters out of r, w, x and -, or one digit from 0 to 7"


def parse_acl_entry(text: str) -> str:
    """Reads one access control entry.

    :param text: ``[d|default:][u|user|g|group|m|mask|o|other:][name]:permissions``; ``name:permissions`` means a user
    :returns: the entry in full, for example ``default:user:bob:r-x``
    :raises ValueError: the rule it breaks
    Source: AppSpec 'permissions' section, ``acls``.
    """
    parts = text.split(":")
    if not 2 <= len(parts) <= 4:
        raise ValueError(FORM)
    default, kind = _head(parts[:-2])
    kind, name = _name(kind, parts[-2])
    if kind in ("mask", "other") and name:
        raise ValueError("%s takes no name; write %s::%s" % (kind, kind, parts[-1]))
    if not default and kind != "mask" and not name:
        raise ValueError(BASE_ENTRY)
    return "%s%s:%s:%s" % ("default:" if default else "", kind, name, _permissions(parts[-1]))


def _head(parts: List[str]) -> Tuple[bool, str]:
    default = False
    if parts and parts[0] in _DEFAULT:
        default = True
        parts = parts[1:]
    if not parts:
        return default, ""
    if len(parts) > 1 or parts[0] not in _TYPES:
        raise ValueError(FORM)
    return default, _TYPES[parts[0]]


def _name(kind: str, name: str) -> Tuple[str, str]:
    """A short form of mask and other is a type where no type was given, and a name where one was."""
    full = _NAMELESS.get(name)
    if kind:
        return kind, full or name
    if full:
        return full, ""
    return "user", name


def _permissions(text: str) -> str:
    if len(text) == 1 and text in "01234567":
        bits = int(text)
        letters = {letter for letter, bit in (("r", 4), ("w", 2), ("x", 1)) if bits & bit}
    else:
        letters = set(text)
        if letters - set("rwx-"):
            raise ValueError(PERMISSIONS)
    return "".join(letter if letter in letters else "-" for letter in "rwx")
