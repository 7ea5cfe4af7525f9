# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``appspec``; its documentation is in ``appspec.yml``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec import AppSpecError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._appspec_file import parse_appspec_file


def appspec(text: Any) -> dict[str, Any]:
    """Read the text of an AppSpec file.

    :param text: the content of the file, str or bytes
    :returns: the AppSpec with every default filled in
    :raises AnsibleFilterError: with one line for every problem
    """
    if not isinstance(text, (str, bytes)):
        raise AnsibleFilterError(
            "agentless.codedeploy.appspec reads the text of an AppSpec file and was given something else; "
            "give it the text as it is, for example lookup('ansible.builtin.file', 'appspec.yml')"
        )
    data = text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogatepass")
    try:
        return parse_appspec_file(data)
    except AppSpecError as error:
        raise AnsibleFilterError(f"The AppSpec file has errors:\n{error}") from None


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"appspec": appspec}
