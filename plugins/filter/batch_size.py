# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``batch_size``; its documentation is in ``batch_size.yml``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import batch_size_of


def batch_size(hosts: Any, config: Any = "CodeDeployDefault.OneAtATime") -> int:
    """Say how many instances may be out of service at once.

    :param hosts: list of hosts, or their number
    :param config: deployment configuration, in any form that deployment_config() reads
    :returns: 1 or more; 1 for no hosts
    :raises AnsibleFilterError: when the configuration is wrong or not possible for so few hosts
    """
    try:
        return batch_size_of(hosts, config)
    except CodeDeployError as error:
        raise AnsibleFilterError(f"agentless.codedeploy.batch_size: {error.code}: {error.message}") from None


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"batch_size": batch_size}
