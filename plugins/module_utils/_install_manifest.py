# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Install keeps about its result: our manifest, and the agent's cleanup file and install.json.

The manifest is a sealed JSON object. C(folders) maps a folder to C([listing, {name: record}]): the listing, or None, of
its plain files and the records of the rest, see C(_file_record); the record of a symbolic link is V(l) and its text, of
a folder made by Install C(d[ - acls]), None when nothing is known. C(contexts) lists what semanage was told. C(cleanup)
is the sha256 of the cleanup file written with it: the manifest counts only beside that cleanup file, because the agent,
or a deployment by the agent in between, writes the cleanup file alone. C(format) says which form the records have.
"""

import hashlib
import json
import os
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from ansible_collections.agentless.codedeploy.plugins.module_utils._file_record import (
    FORMAT,
    Listing,
    extended,
    listing,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import read_file
from ansible_collections.agentless.codedeploy.plugins.module_utils._state_seal import seal_parts, unseal

Records = Dict[str, Optional[str]]
Folders = Dict[str, Tuple[Optional[Listing], Records]]
SEMANAGE = "semanage\0"


def folder_manifest(files: Optional[Listing], records: Records) -> Tuple[Optional[Listing], Records]:
    """Return what the manifest has of a folder.

    :param files: the listing of the files that stayed, None when all are in C(records).
    """
    plain = {name: record for name, record in records.items() if record and _is_plain(record)}
    rest = {name: record for name, record in records.items() if name not in plain}
    if plain:
        files = listing(plain) if files is None else extended(files, plain)
    return files, rest


def _is_plain(record: str) -> bool:
    return record[0] == "f" and record.count(" ") == 5


def record_acls(record: Optional[str]) -> List[str]:
    """Return the ACL entries of the record of a file or folder."""
    if not record or record[0] == "l":
        return []
    fields = record.split(" ", 2 if record[0] == "d" else 6)
    return fields[-1].split(",") if len(fields) == (3 if record[0] == "d" else 7) and fields[-1] else []


def read_previous(instructions: Any) -> Tuple[Folders, List[List[Any]]]:
    """Return what the previous deployment installed, as C((folders, contexts)), parents before their content.

    The agent's cleanup file says whether there is anything; our manifest says it better when it belongs to that file.
    """
    cleanup = read_file(instructions.cleanup)
    if cleanup is None:
        return {}, []
    manifest = unseal(read_file(instructions.manifest))
    ours = manifest is not None and manifest.get("format") == FORMAT
    if manifest is not None and ours and manifest["cleanup"] == hashlib.sha256(cleanup).hexdigest():
        return {path: (files, rest) for path, (files, rest) in manifest["folders"].items()}, manifest["contexts"]
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
            folders.setdefault(folder, (None, {}))[1][name] = None
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


def cleanup_text(folders: Iterable[Any], contexts: Iterable[List[Any]]) -> bytes:
    """Return the agent's cleanup file for planned folders: a folder before what is in it."""
    lines: List[str] = []
    for folder in folders:
        if folder.made:
            lines.append(folder.path)
        if folder.copies:
            prefix = folder.path.rstrip("/") + "/"
            lines.append(prefix + ("\n" + prefix).join(folder.copies))
    lines.extend([SEMANAGE + context[0] for context in contexts])
    return os.fsencode("\n".join(lines) + "\n") if lines else b""


def install_json_parts(folders: Iterable[Any], permissions: Iterable[Dict[str, Any]]) -> Iterator[bytes]:
    """Yield the agent's install.json for planned folders, and the instructions that follow from permissions.

    For many files it is large, and need not be in memory as a whole.
    """
    between = b'{"instructions":['
    for text in _instructions(folders, permissions):
        yield between
        yield os.fsencode(text)
        between = b","
    yield b"]}" if between == b"," else between + b"]}"


def _instructions(folders: Iterable[Any], permissions: Iterable[Dict[str, Any]]) -> Iterator[str]:
    for folder in folders:
        if folder.made:
            yield '{"type":"mkdir","directory":%s}' % encode_basestring(folder.path)
        if folder.copies:
            yield _copy_instructions(folder.path, folder.copies)
    for each in permissions:
        yield json.dumps(each, ensure_ascii=False, separators=(",", ":"))


def _copy_instructions(path: str, copies: Dict[str, Any]) -> str:
    """Return the instructions that copy into one folder; no name has a slash, so all are made JSON at once."""
    names = iter(encode_basestring("/".join(copies))[1:-1].split("/"))
    destination = '","destination":' + encode_basestring(path.rstrip("/") + "/")[:-1]
    items: List[str] = []
    last, begin = None, ""
    for copy in copies.values():
        name = next(names)
        if copy[0] is not last:
            last = copy[0]
            begin = '{"type":"copy","source":' + encode_basestring(last + "/")[:-1]
        items.append(f'{begin}{name}{destination}{name}"}}')
    return ",".join(items)


def manifest_parts(cleanup: bytes, folders: Folders, contexts: List[List[Any]]) -> List[bytes]:
    """Return the manifest that belongs to a cleanup file, in parts."""
    parts = ['"format":%d,"cleanup":"%s","folders":{' % (FORMAT, hashlib.sha256(cleanup).hexdigest())]
    between = ""
    for path, (files, rest) in folders.items():
        # Only names have characters that mean something in JSON.
        listed = "null" if files is None else '[%s,"%s"]' % (encode_basestring_ascii(files[0]), '","'.join(files[1:]))
        others = json.dumps(rest) if rest else "{}"
        parts.append("%s%s:[%s,%s]" % (between, encode_basestring_ascii(path), listed, others))
        between = ","
    parts.append('},"contexts":%s}' % json.dumps(contexts))
    return seal_parts([part.encode("ascii") for part in parts])
