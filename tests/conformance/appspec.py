# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program behind ``appspec``: AppSpec texts in, specs or errors out, both as JSON."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import collection_loader  # noqa: E402  # found through the path set above

collection_loader.register_collection()

from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec import (  # noqa: E402  # needs the collection
    AppSpecError,
    check_operating_system,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._appspec_file import (  # noqa: E402  # same
    parse_appspec_file,
)


def content(text: str | dict[str, str]) -> bytes:
    """Return the bytes of one given text: JSON text, or an object with the key ``text`` or ``b64``."""
    if isinstance(text, dict):
        if "b64" in text:
            return base64.b64decode(text["b64"])
        text = text["text"]
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def read(data: bytes) -> dict[str, Any]:
    """Return what becomes of one AppSpec file on a Linux instance."""
    try:
        spec = parse_appspec_file(data)
        problems = check_operating_system(spec)
        if problems:
            raise AppSpecError(problems)
    except AppSpecError as error:
        return {"ok": False, "errors": [str(problem) for problem in error.errors]}
    return {"ok": True, "spec": spec}


def main() -> None:
    """Answer the list on standard input."""
    texts = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    json.dump([read(content(text)) for text in texts], sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
