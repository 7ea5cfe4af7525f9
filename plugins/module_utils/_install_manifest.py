# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Install keeps about its result: our manifest, and the agent's cleanup file and install.json.

The manifest is a JSON object. C(folders) maps a folder to C({name: record}); a record is the text
C(type sha256 size mode uid gid mtime_ns ctime_ns inode[ acls]) with the type V(f) (file), V(l) (symbolic link; its text
stands for the numbers) or V(d) (folder made by Install). C(contexts) lists what semanage was told. C(cleanup) is the
sha256 of the cleanup file written with it: the manifest counts only beside that cleanup file, because the agent, or
a deployment by the agent in between, writes the cleanup file alone.
"""

import hashlib
import json
import os
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from ansible_collections.agentless.codedeploy.plugins.module_utils._state import read_file
from ansible_collections.agentless.codedeploy.plugins.module_utils._state_seal import seal, unseal

Folders = Dict[str, Dict[str, Optional[str]]]
SEMANAGE = "semanage\0"
_fields = attrgetter("st_size", "st_mode", "st_uid", "st_gid", "st_mtime_ns", "st_ctime_ns", "st_ino")
_AFTER_SHA256 = 66


def file_record(sha256: str, status: Any, acls: Sequence[str] = ()) -> str:
    """Return the record of a file: what its lstat must say again for it to be the file that was written."""
    record = "f %s %d %o %d %d %d %d %d" % ((sha256,) + _fields(status))
    return record + " " + ",".join(acls) if acls else record


def proven(record: Optional[str], status: Any) -> str:
    """Return the record of a file if its lstat proves that it is still the file that was written, else ""."""
    present = " %d %o %d %d %d %d %d" % _fields(status)
    if record and record.startswith(present, _AFTER_SHA256):
        end = _AFTER_SHA256 + len(present)
        if len(record) == end or record[end] == " ":
            return record
    return ""


def wanted_record(sha256: str, size: int, mode: int, uid: int, gid: int) -> str:
    """Return how the record of a file with this content, st_mode and owner begins."""
    return "f %s %d %o %d %d " % (sha256, size, mode, uid, gid)


def record_acls(record: Optional[str]) -> List[str]:
    """Return the ACL entries of the record of a file or folder."""
    if not record or record[0] == "l":
        return []
    fields = record.split(" ", 2 if record[0] == "d" else 9)
    return fields[-1].split(",") if len(fields) == (3 if record[0] == "d" else 10) and fields[-1] else []


def read_previous(instructions: Any) -> Tuple[Folders, List[List[Any]]]:
    """Return what the previous deployment installed, as C((folders, contexts)), parents before their content.

    The agent's cleanup file says whether there is anything; our manifest says it better when it belongs to that file.
    """
    cleanup = read_file(instructions.cleanup)
    if cleanup is None:
        return {}, []
    manifest = unseal(read_file(instructions.manifest))
    if manifest is not None and manifest["cleanup"] == hashlib.sha256(cleanup).hexdigest():
        return manifest["folders"], manifest["contexts"]
    return _from_cleanup(cleanup)


def _from_cleanup(cleanup: bytes) -> Tuple[Folders, List[List[Any]]]:
    """Read a cleanup file as the agent wrote it: one path a line, the last line counts only when it is finished.

    Every path begins with a slash, so a line that does not is the rest of a name with a newline in it.
    """
    paths: List[str] = []
    contexts: List[List[Any]] = []
    for line in os.fsdecode(cleanup).split("\n")[:-1]:
        if line.startswith(SEMANAGE) and "\0" not in line[len(SEMANAGE) :]:
            contexts.append([line[len(SEMANAGE) :], None])
        elif line.startswith("/"):
            paths.append(line)
        elif paths:
            paths[-1] += "\n" + line
    folders: Folders = {}
    for path in paths:
        folder, name = _split(path)
        if name:
            folders.setdefault(folder, {})[name] = None
    return folders, contexts


def _split(path: str) -> Tuple[str, str]:
    """Return folder and name of a line, without what is not needed to get there; no name for what cannot be one."""
    if "//" in path or "/." in path or path.endswith("/") or "\0" in path:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if not parts or parts[-1] == ".." or "\0" in path:
            return "", ""
        folder = "/" + "/".join(parts[:-1])
        return os.path.realpath(folder) if ".." in parts else folder, parts[-1]
    folder, _slash, name = path.rpartition("/")
    return folder or "/", name


def cleanup_text(folders: Iterable[Tuple[str, bool, Iterable[str]]], contexts: Iterable[List[Any]]) -> bytes:
    """Return the agent's cleanup file for C((folder, made, names)): a folder before what is in it."""
    lines: List[str] = []
    for path, made, names in folders:
        if made:
            lines.append(path)
        prefix = path.rstrip("/") + "/"
        lines.extend([prefix + name for name in names])
    lines.extend([SEMANAGE + context[0] for context in contexts])
    return os.fsencode("\n".join(lines) + "\n") if lines else b""


def install_json_text(
    folders: Iterable[Tuple[str, bool, Iterable[Tuple[str, str]]]], permissions: Iterable[Dict[str, Any]]
) -> bytes:
    """Return the agent's install.json for C((folder, made, (name, source folder)))."""
    items: List[str] = []
    prefixes: Dict[str, str] = {}
    for path, made, copies in folders:
        if made:
            items.append('{"type":"mkdir","directory":%s}' % encode_basestring(path))
        destination = encode_basestring(path.rstrip("/") + "/")[:-1]
        for name, source in copies:
            if source not in prefixes:
                prefixes[source] = encode_basestring(source + "/")[:-1]
            rest = encode_basestring(name)[1:]
            items.append(f'{{"type":"copy","source":{prefixes[source]}{rest},"destination":{destination}{rest}}}')
    items.extend([json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in permissions])
    return os.fsencode('{"instructions":[' + ",".join(items) + "]}")


def manifest_text(cleanup: bytes, folders: Folders, contexts: List[List[Any]]) -> bytes:
    """Return the manifest that belongs to a cleanup file."""
    manifest = {"cleanup": hashlib.sha256(cleanup).hexdigest(), "folders": folders, "contexts": contexts}
    return seal(manifest)
