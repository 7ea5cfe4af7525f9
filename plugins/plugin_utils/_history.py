# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look through the record: the filters of ListDeployments as users write them, and one page after the other."""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import math
import re
import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import list_deployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

PAGE = 500
_NUMBER = re.compile(r"\d+(\.\d*)?\Z")


def time_of(text: str, code: str = "InvalidTimeRange") -> float:
    """Return the epoch seconds of a time: ISO 8601, in the controller's zone unless it names another, or a number.

    :raises InvalidInput: it is neither.
    """
    text = text.strip()
    if _NUMBER.match(text):
        return float(text)
    try:
        moment = datetime.datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text))
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(
            f"{text!r} is no time: write 2026-01-31, 2026-01-31T09:30 or 2026-01-31T09:30:00+01:00.", code
        ) from None


TIME_RANGE = {"type": "dict", "options": {"start": {"type": "str"}, "end": {"type": "str"}}}
"""Argument that :func:`time_range` reads."""


def time_range(given: t.Mapping[str, t.Any] | None) -> dict[str, float]:
    """Return the filters of list_deployments() and list_audit() for a time range, ``{start, end}``, each optional.

    :raises InvalidInput: one is no time, or the end is before the start.
    """
    times = {
        name: time_of(str(given[key]))
        for name, key in (("created_from", "start"), ("created_to", "end"))
        if given and given.get(key) not in (None, "")
    }
    if times.get("created_to", math.inf) < times.get("created_from", -math.inf):
        raise InvalidInput("The end of the time range is before its start.", "InvalidTimeRange")
    return times


def page_of_deployments(
    store: Store, limit: int, next_token: str | None = None, **filters: t.Any
) -> tuple[list[Deployment], str | None]:
    """Return deployments, newest first and without their order, and the token of the next page, None at the end.

    :param filters: as of list_deployments().
    :param next_token: what the page before returned.
    :raises InvalidInput: it is none.
    """
    if limit < 1:
        raise InvalidInput("limit must be at least 1.")
    after = _read_token(next_token) if next_token else None
    found = list_deployments(store, limit=limit + 1, after=after, with_order=False, **filters)
    more = len(found) > limit
    found = found[:limit]
    return found, _token(found[-1]) if more else None


def all_deployments(store: Store, **filters: t.Any) -> t.Iterator[Deployment]:
    """Give all deployments, newest first and without their order, a page at a time."""
    token: str | None = None
    while True:
        found, token = page_of_deployments(store, PAGE, token, **filters)
        yield from found
        if token is None:
            return


def _token(last: Deployment) -> str:
    return base64.urlsafe_b64encode(json.dumps([last.create_time, last.deployment_id]).encode()).decode("ascii")


def _read_token(token: str) -> tuple[float, str]:
    try:
        create_time, deployment_id = json.loads(base64.urlsafe_b64decode(token))
        return float(create_time), str(deployment_id)
    except (binascii.Error, ValueError, TypeError):
        raise InvalidInput("next_token is not one that was returned before.", "InvalidNextToken") from None


def former_seconds(store: Store, deployment_group_id: str, most: int = 2000) -> dict[str, list[float]]:
    """Return how long the instances of a group took in its newest deployments in which they succeeded.

    :param most: how many instances of deployments are looked at.
    :returns: seconds by instance, the newest first.
    """
    with store.reading() as tx:
        rows = tx.rows(
            "SELECT instance, targets.last_updated_at - targets.start_time AS seconds FROM targets"
            " JOIN deployments ON deployments.deployment_id = targets.deployment_id"
            " WHERE deployment_group_id = %s AND targets.status = 'Succeeded' AND targets.start_time IS NOT NULL"
            " ORDER BY deployments.create_time DESC, position LIMIT %s",
            (deployment_group_id, most),
        )
    former: dict[str, list[float]] = {}
    for row in rows:
        former.setdefault(row["instance"], []).append(max(0.0, row["seconds"]))
    return former
