# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write a report where it was asked for: to the screen as text or JSON, or to a file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import camel_case

REPORT_ARGUMENTS = {
    "report": {"type": "str", "choices": ["none", "text", "json"], "default": "none"},
    "report_path": {"type": "path"},
}
READING_ARGUMENTS = {"store": {"type": "str"}, **REPORT_ARGUMENTS}
"""What every action that reads the record takes besides."""


def write_report(arguments: dict[str, Any], lines: Sequence[str], data: dict[str, Any]) -> None:
    """Write a report.

    :param arguments: C(report) (C(none), C(text), C(json)) and C(report_path), a file instead of the screen.
    :param lines: the text.
    :param data: the same in snake case; written with the API's field names.
    """
    if arguments["report"] == "none":
        return
    text = "\n".join(lines) if arguments["report"] == "text" else json.dumps(camel_case(data), indent=2, sort_keys=True)
    path = arguments["report_path"]
    if not path:
        Display().display(text)
        return
    try:
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text + "\n")
    except OSError as error:
        raise AnsibleActionFail(f"the report cannot be written to {os.path.abspath(path)}: {error.strerror}") from None
