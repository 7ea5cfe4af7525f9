# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What replaces a broken ApplicationStop of the revision before, for one deployment.

ApplicationStop runs the scripts of the revision that is installed, so that an error in them could not be put right by a
new one. The deployment's option C(application_stop) is V(new), V(skip) or the path of a script in the new bundle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NEW, SKIP = "new", "skip"
_STOP, _DOWNLOAD = "ApplicationStop", "DownloadBundle"


def script_of(options: Mapping[str, Any]) -> str | None:
    """Return the path of the script in the new bundle, None when another choice or none was made.

    :param options: of a deployment's record.
    """
    choice = options.get("application_stop")
    return None if choice in (None, NEW, SKIP) else str(choice)


def events_on_the_instance(options: Mapping[str, Any], events: Sequence[str]) -> list[str]:
    """Return the events that an instance is to run, in that order: what the new bundle has must be there first."""
    choice = options.get("application_stop")
    if not choice or _STOP not in events or _DOWNLOAD not in events:
        return list(events)
    others = [event for event in events if event != _STOP]
    if choice == SKIP:
        return others
    others.insert(others.index(_DOWNLOAD) + 1, _STOP)
    return others


def skipped_events(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the event that was left out, for the record."""
    if options.get("application_stop") != SKIP:
        return []
    return [{"lifecycle_event_name": _STOP, "status": "Skipped"}]


def text_of(options: Mapping[str, Any]) -> str | None:
    """Say what replaced ApplicationStop, None when nothing did."""
    choice = options.get("application_stop")
    if not choice:
        return None
    return {NEW: "the scripts of the new revision", SKIP: "skipped"}.get(choice, f"{choice} of the new revision")
