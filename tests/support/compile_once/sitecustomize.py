# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what Python compiles of Ansible's module archives, so that thousands of modules on this machine cost less.

In the folder that CODEDEPLOY_TEST_COMPILED names; the code that runs is the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import types
import zipimport
from typing import Any

FOLDER = os.environ.get("CODEDEPLOY_TEST_COMPILED", "")
_compile: Any = getattr(zipimport, "_compile_source", None)


def _compile_once(path: str, source: bytes) -> types.CodeType:
    kept = os.path.join(FOLDER, hashlib.sha256(source).hexdigest())
    with contextlib.suppress(OSError), open(kept, "rb") as stream:
        code: types.CodeType = marshal.loads(stream.read())
        return code
    code = _compile(path, source)
    draft = f"{kept}.{os.getpid()}"
    with open(draft, "wb") as stream:
        stream.write(marshal.dumps(code))
    os.rename(draft, kept)
    return code


if FOLDER and _compile is not None:
    zipimport._compile_source = _compile_once  # type: ignore[attr-defined]  # it is the module's own
