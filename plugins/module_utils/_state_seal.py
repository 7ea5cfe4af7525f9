# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our own state files on an instance tell whether they are still what was written."""

import hashlib
import json
from typing import Any, Dict, List, Optional

_START = b'{"sha256":"'
_END = b'",'
_LENGTH = len(_START) + 64 + len(_END)


def seal(value: Dict[str, Any]) -> bytes:
    """Return a dictionary with an entry or more as JSON that begins with the digest of the rest."""
    return b"".join(seal_parts([json.dumps(value, separators=(",", ":"))[1:].encode("ascii")]))


def seal_parts(parts: List[bytes]) -> List[bytes]:
    """Return the same, in parts, for parts of a dictionary that is JSON already, without its first brace."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return [_START, digest.hexdigest().encode("ascii"), _END] + parts


def unseal(data: Optional[bytes]) -> Optional[Dict[str, Any]]:
    """Return what C(seal) was given, V(None) when there is no file or it is damaged."""
    if not data:
        return None
    digest = hashlib.sha256(memoryview(data)[_LENGTH:]).hexdigest().encode("ascii")
    if data[:_LENGTH] != _START + digest + _END:
        return None
    value: Dict[str, Any] = json.loads(data.decode("ascii"))
    del value["sha256"]
    return value
