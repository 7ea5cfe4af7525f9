# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare a file with the ETag that S3 has for it: the MD5 of its content, or of those of the parts it was sent in."""

import hashlib
import sys
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import CHUNK


def e_tag_of(path: str, part_size: int) -> str:
    """Return the ETag of a file's content; V("") where MD5 is not to be had (FIPS).

    :param part_size: bytes of each part; 0: it was sent as a whole.
    """
    try:
        whole, parts = _md5(), 0
    except ValueError:
        return ""
    with open(path, "rb") as stream:
        while True:
            part, empty = _md5(), True
            left = part_size or sys.maxsize
            while left:
                chunk = stream.read(min(CHUNK, left))
                if not chunk:
                    break
                part.update(chunk)
                left -= len(chunk)
                empty = False
            if not part_size:
                return str(part.hexdigest())
            if empty:
                return f"{whole.hexdigest()}-{parts}"
            whole.update(part.digest())
            parts += 1


def _md5() -> Any:
    try:
        return hashlib.md5(usedforsecurity=False)
    except TypeError:  # before Python 3.9
        return hashlib.md5()
