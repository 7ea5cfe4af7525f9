# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of a file: its content, and what its lstat must say again for it to be the file that was recorded.

It is one text, C(f sha256 mode uid gid @size mtime_ns ctime_ns inode[ acls]), since texts are read from JSON, compared
and kept in memory several times as fast as lists of numbers. The change time, which nobody can set, is the proof.
"""

from itertools import chain, compress
from operator import and_, attrgetter, eq
from typing import Any, Dict, List, Optional, Sequence

_STATE = "%d %d %d %d"
_state = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
_STATUS = " %o %d %d @" + _STATE
_status = attrgetter("st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
_STATUS_AT = 66
#: What is kept of the plain files of one folder: their names, joined by slashes, and texts with the content, the
#: attributes and the state of each. A whole folder is read, compared and kept at once this way.
Listing = List[str]


def file_record(sha256: str, status: Any, acls: Sequence[str] = ()) -> str:
    """Return the record of a file."""
    record = "f " + sha256 + _STATUS % _status(status)
    return record + " " + ",".join(acls) if acls else record


def proven(record: Optional[str], status: Any) -> str:
    """Return the record of a file if its lstat proves that it is still the file that was recorded, else ""."""
    present = _STATUS % _status(status)
    if record and record.startswith(present, _STATUS_AT) and record[_STATUS_AT + len(present) :][:1] in ("", " "):
        return record
    return ""


class RecordedStatus:
    """What the lstat of a file says that is as it was recorded; it is read as soon as it was written."""

    __slots__ = ("record", "st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_atime_ns")

    def __init__(self, record: str) -> None:
        _kind, _sha256, mode, uid, gid, size, mtime, _ctime, _inode = record.split(" ")
        self.record = record
        self.st_mode = int(mode, 8)
        self.st_uid = int(uid)
        self.st_gid = int(gid)
        self.st_size = int(size[1:])
        self.st_mtime_ns = self.st_atime_ns = int(mtime)


def wanted_record(sha256: str, mode: int, uid: int, gid: int) -> str:
    """Return how the record of a file with this content, st_mode and owner begins."""
    return "f %s %o %d %d @" % (sha256, mode, uid, gid)


def wanted_of(record: str) -> str:
    """Return how the record of any file begins that has the content, mode and owner of a recorded one."""
    return record[: record.index("@") + 1]


def listing(records: Dict[str, str]) -> Listing:
    """Return what is kept of the files of one folder, given by their records without ACLs."""
    names = sorted(records)
    states = [records[name][_STATUS_AT + 1 :].split(" @") for name in names]
    return [
        "/".join(names),
        ",".join([records[name][2:_STATUS_AT] for name in names]),
        ",".join([attributes for attributes, _state in states]),
        ",".join([state for _attributes, state in states]),
    ]


def listed_records(files: Listing) -> Dict[str, str]:
    """Return the records that C(listing) was given."""
    sha256s, attributes, states = [text.split(",") for text in files[1:]]
    names = enumerate(files[0].split("/"))
    return {name: "f %s %s @%s" % (sha256s[at], attributes[at], states[at]) for at, name in names}


def still_listed(files: Listing, statuses: Dict[str, Any]) -> bool:
    """Whether all files of a listing are in their folder as recorded; C(statuses) has the lstat of each name in it."""
    try:
        found = [statuses[name] for name in files[0].split("/")]
    except KeyError:
        return False
    # Mode and owner cannot change without the change time, so they need not be compared as well.
    present = (_STATE + ("," + _STATE) * (len(found) - 1)) % tuple(chain.from_iterable(map(_state, found)))
    return files[3] == present


def same_files(files: Listing, wanted: Listing) -> Optional[Listing]:
    """Return the part of a listing with the contents and attributes that another one has for its names.

    V(None) when that is nothing, or the names differ, so that each file must be looked at.
    """
    if files[:3] == wanted[:3]:
        return files
    if files[0] != wanted[0]:
        return None
    texts = [files[0].split("/")] + [text.split(",") for text in files[1:]]
    same = [list(map(eq, texts[at], wanted[at].split(","))) for at in (1, 2)]
    both = list(map(and_, *same))
    kept = [list(compress(text, both)) for text in texts]
    return ["/".join(kept[0])] + [",".join(text) for text in kept[1:]] if kept[0] else None
