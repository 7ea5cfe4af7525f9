# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep secrets out of whatever is shown, returned or recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import is_address

HIDDEN = "********"


def address_secrets(revision: str, headers: dict[str, str]) -> list[str]:
    """Return the texts that must not be seen: the values of the headers, and an address's query, user and password."""
    secrets = [value for value in headers.values() if value]
    if is_address(revision):
        address = revision.strip()
        query = address.partition("?")[2]
        authority = address.partition("://")[2].partition("/")[0]
        user = authority.rpartition("@")[0]
        secrets += [part for part in (query, user) if part]
    return sorted(secrets, key=len, reverse=True)


def hide(value: Any, secrets: Sequence[str]) -> Any:
    """Return a value with every secret in its texts replaced."""
    if not secrets:
        return value
    if isinstance(value, dict):
        return {key: hide(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [hide(item, secrets) for item in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
    return value
