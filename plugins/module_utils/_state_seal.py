# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our own state files on an instance tell whether they are still what was written."""

import hashlib
import json
from typing import Any, Dict, Optional

_START = b'{"sha256":"'
_END = b'",'
_LENGTH = len(_START) + 64 + len(_END)


def seal(value: Dict[str, Any]) -> bytes:
    """Return a dictionary with an entry or more as JSON that begins with the digest of the rest."""
    return seal_text(json.dumps(value, separators=(",", ":"))[1:])


def seal_text(text: str) -> bytes:
    """Return the same for a dictionary that is JSON already, without its first brace."""
    rest = text.encode("ascii")
    return _START + hashlib.sha256(rest).hexdigest().encode("ascii") + _END + rest


def unseal(data: Optional[bytes]) -> Optional[Dict[str, Any]]:
    """Return what C(seal) was given, V(None) when there is no file or it is damaged."""
    if not data:
        return None
    digest = hashlib.sha256(data[_LENGTH:]).hexdigest().encode("ascii")
    if data[:_LENGTH] != _START + digest + _END:
        return None
    value: Dict[str, Any] = json.loads(data.decode("ascii"))
    del value["sha256"]
    return value
