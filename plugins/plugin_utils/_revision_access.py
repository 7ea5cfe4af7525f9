# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What it takes to get at a revision beside its name: credentials, kind of archive, the way to the instances."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_github import API_URL

PRESIGNED, INSTANCE, PUSH = DOWNLOADS = ("presigned", "instance", "push")

SECRET_ARGUMENTS = {
    "github_token": {"type": "str", "no_log": True},
}
"""Options of the actions that read a revision and that nobody may see."""


@dataclass(frozen=True)
class RevisionAccess:
    """How to get at a revision.

    :param bundle_type: what the user says that the bundle is; empty: its name tells.
    :param download: how it gets to the instances, one of L{DOWNLOADS}; empty: as is usual for its kind.
    :param github_token: secret.
    :param aws: how AWS is reached, without keys, as a deployment's record has it.
    """

    bundle_type: str = ""
    download: str = ""
    github_token: str = field(default="", repr=False)
    github_api_url: str = API_URL
    aws: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> RevisionAccess:
        """Make one of a task's arguments, or of recorded options; the environment fills in."""
        return cls(
            bundle_type=str(options.get("bundle_type") or ""),
            download=str(options.get("download") or ""),
            github_token=str(options.get("github_token") or _environment("GITHUB_TOKEN", "GH_TOKEN")),
            github_api_url=str(options.get("github_api_url") or _environment("GITHUB_API_URL") or API_URL),
            aws=dict(options.get("aws") or {}),
        )


def _environment(*names: str) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")
