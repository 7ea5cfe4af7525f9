# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``max_fail_percentage``; its documentation is in ``max_fail_percentage.yml``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import batch_size_of


def max_fail_percentage(hosts: Any, config: Any = "CodeDeployDefault.OneAtATime") -> int:
    """Give the percentage with which Ansible stops no batch that CodeDeploy would let go on.

    CodeDeploy goes on while fewer instances failed than may be out of service at once. Ansible looks at one batch and
    stops when more than the percentage of it failed; rounding up keeps it from stopping before.

    :param hosts: list of hosts, or their number
    :param config: deployment configuration, in any form that deployment_config() reads
    :returns: 0 to 100
    :raises AnsibleFilterError: when the configuration is wrong or not possible for so few hosts
    """
    try:
        size = batch_size_of(hosts, config)
    except CodeDeployError as error:
        raise AnsibleFilterError(f"agentless.codedeploy.max_fail_percentage: {error.code}: {error.message}") from None
    return -(-100 * (size - 1) // size)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"max_fail_percentage": max_fail_percentage}
