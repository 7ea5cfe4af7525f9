# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of CodeDeploy's API that several operations check their input by."""

from __future__ import annotations

import re

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput

DESCRIPTION_LENGTH = 256
_NAME = re.compile(r"[A-Za-z0-9+=,.@_-]{1,100}\Z")


def check_name(kind: str, name: str) -> None:
    """Make sure that a name follows the API's pattern.

    :param kind: Application or DeploymentGroup.
    :raises InvalidInput: with the API's code for it.
    """
    if not _NAME.match(name):
        raise InvalidInput(
            f"{kind} name {name!r} must be 1 to 100 letters, digits or characters of +=,.@_-.", f"Invalid{kind}Name"
        )


def check_description(description: str | None) -> None:
    """Make sure that a description is not too long.

    :raises InvalidInput: it has more than 256 characters.
    """
    length = len(description or "")
    if length > DESCRIPTION_LENGTH:
        raise InvalidInput(
            f"The description has {length} characters, at most {DESCRIPTION_LENGTH} are allowed.", "DescriptionTooLong"
        )
