# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of a file: its content, and what its lstat must say again for it to be the file that was recorded.

It is one text, C(f sha256 mode uid gid @state[ acls]). The state is size, mtime_ns, ctime_ns and inode, packed, in 64
hexadecimal digits, which are made faster than decimal ones. Texts are read from JSON, compared and kept in memory
several times as fast as lists of numbers. The change time, which nobody can set, is the proof.
"""

import struct
from itertools import chain, compress
from operator import and_, attrgetter, eq
from typing import Any, Container, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

_FIELDS = "qqqQ"
_packed = struct.Struct("<" + _FIELDS)
_attributes = attrgetter("st_mode", "st_uid", "st_gid")
_state = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
_ATTRIBUTES_AT = 66
#: How long a packed state is.
STATE = 64
#: Which form of records a state file has; what another version of this collection wrote may have another.
FORMAT = 1
#: What is kept of the plain files of one folder: their names, joined by slashes, and texts with the content, the
#: attributes and the state of each. A whole folder is read, compared and kept at once this way.
Listing = List[str]


def _state_text(states: Iterable[int], count: int) -> str:
    """Return the packed states of so many files."""
    numbers = tuple(states)
    try:
        return struct.pack("<" + _FIELDS * count, *numbers).hex()
    except struct.error:
        # Some file systems keep times that no 64 bits have room for in nanoseconds.
        return struct.pack("<%dQ" % len(numbers), *[number & 0xFFFFFFFFFFFFFFFF for number in numbers]).hex()


def _state_of(status: Any) -> str:
    try:
        return _packed.pack(*_state(status)).hex()
    except struct.error:
        return _state_text(_state(status), 1)


def _states(text: str) -> List[str]:
    return [text[at : at + STATE] for at in range(0, len(text), STATE)]


def file_record(sha256: str, status: Any, acls: Sequence[str] = ()) -> str:
    """Return the record of a file."""
    mode, uid, gid = _attributes(status)
    record = f"f {sha256} {mode:o} {uid} {gid} @{_state_of(status)}"
    return record + " " + ",".join(acls) if acls else record


def proven(record: Optional[str], status: Any) -> str:
    """Return the record of a file if its lstat proves that it is still the file that was recorded, else ""."""
    mode, uid, gid = _attributes(status)
    present = f" {mode:o} {uid} {gid} @{_state_of(status)}"
    # The state has one length, so nothing of it can follow.
    return record if record and record.startswith(present, _ATTRIBUTES_AT) else ""


class RecordedStatus(NamedTuple):
    """What the lstat of a file says that is as it was recorded; it is read as soon as it was written.

    C(wanted) is how the record of any file begins that has its content, mode and owner.
    """

    wanted: str
    st_mode: int
    st_uid: int
    st_gid: int
    st_size: int
    st_mtime_ns: int
    st_atime_ns: int


def wanted_record(sha256: str, mode: int, uid: int, gid: int) -> str:
    """Return how the record of a file with this content, st_mode and owner begins."""
    return "f %s %o %d %d @" % (sha256, mode, uid, gid)


def wanted_of(record: str) -> str:
    """Return how the record of any file begins that has the content, mode and owner of a recorded one."""
    return record[: record.index("@") + 1]


def listing(records: Dict[str, str]) -> Listing:
    """Return what is kept of the files of one folder, given by their records without ACLs."""
    names = sorted(records)
    found = [records[name] for name in names]
    return [
        "/".join(names),
        ",".join([record[2:_ATTRIBUTES_AT] for record in found]),
        ",".join([record[_ATTRIBUTES_AT + 1 : -STATE - 2] for record in found]),
        "".join([record[-STATE:] for record in found]),
    ]


def extended(files: Listing, records: Dict[str, str]) -> Listing:
    """Return a listing with the files that are given by their records besides."""
    texts = _split(files)
    for at, text in enumerate(_split(listing(records))):
        texts[at] += text
    order = sorted(range(len(texts[0])), key=texts[0].__getitem__)
    names, sha256s, attributes, states = [[text[at] for at in order] for text in texts]
    return ["/".join(names), ",".join(sha256s), ",".join(attributes), "".join(states)]


def listed_records(files: Listing) -> Dict[str, str]:
    """Return the records that C(listing) was given."""
    names, sha256s, attributes, states = _split(files)
    return {name: f"f {sha256s[at]} {attributes[at]} @{states[at]}" for at, name in enumerate(names)}


def listed_statuses(files: Listing, without: Container[str] = ()) -> Dict[str, RecordedStatus]:
    """Return what the lstat of each file of a listing says as long as it is as recorded.

    :param without: names of files that are left out.
    """
    owners: Dict[str, Tuple[int, int, int]] = {}
    found: Dict[str, RecordedStatus] = {}
    states = bytes.fromhex(files[3])
    sha256s, every = files[1].split(","), files[2].split(",")
    for at, name in enumerate(files[0].split("/")):
        if name in without:
            continue
        attributes = every[at]
        if attributes not in owners:
            mode, uid, gid = attributes.split(" ")
            owners[attributes] = (int(mode, 8), int(uid), int(gid))
        wanted = f"f {sha256s[at]} {attributes} @"
        size, mtime, _ctime, _inode = _packed.unpack_from(states, at * _packed.size)
        found[name] = RecordedStatus(wanted, *owners[attributes], size, mtime, mtime)
    return found


def _split(files: Listing) -> List[List[str]]:
    return [files[0].split("/"), files[1].split(","), files[2].split(","), _states(files[3])]


def still_listed(files: Listing, statuses: Dict[str, Any]) -> bool:
    """Whether all files of a listing are in their folder as recorded; C(statuses) has the lstat of each name in it."""
    names = files[0].split("/")
    try:
        states = chain.from_iterable(map(_state, map(statuses.__getitem__, names)))
        # Mode and owner cannot change without the change time, so they need not be compared as well.
        return files[3] == _state_text(states, len(names))
    except KeyError:
        return False


def same_files(files: Listing, wanted: Listing) -> Optional[Listing]:
    """Return the part of a listing with the contents and attributes that another one has for its names.

    V(None) when that is nothing, or the names differ, so that each file must be looked at.
    """
    if files[:3] == wanted[:3]:
        return files
    if files[0] != wanted[0]:
        return None
    texts = _split(files)
    same = list(map(eq, texts[1], wanted[1].split(",")))
    if files[2] != wanted[2]:
        same = list(map(and_, same, map(eq, texts[2], wanted[2].split(","))))
    kept = [list(compress(text, same)) for text in texts]
    if not kept[0]:
        return None
    return ["/".join(kept[0]), ",".join(kept[1]), ",".join(kept[2]), "".join(kept[3])]
