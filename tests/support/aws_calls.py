# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From requests that a server has got to the operations of AWS's API that they are."""

from __future__ import annotations

import functools
import re
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_calls import (
    CALLS,
    SETUP_CALLS,
    WITHOUT_PERMISSION,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_errors import PREFIXES

# Operations with the address and method of another: they have a header that names a source, or list other buckets.
LEFT_OUT = ("CopyObject", "UploadPartCopy", "ListDirectoryBuckets")


def listed() -> set[str]:
    """Return all calls that the collection says it makes."""
    return {call for calls in (*CALLS.values(), *SETUP_CALLS.values()) for call in calls}


def not_listed(calls: set[str]) -> set[str]:
    """Return the calls that the policies would not allow."""
    return calls - listed() - {*WITHOUT_PERMISSION}


def operation(service: str, action: str, *query: str) -> str:
    """Return C(service:Operation), with IAM's name of the service.

    :param action: the API's own name, or method and path where it has none (S3).
    :param query: names in the query.
    """
    if service != "s3":
        return f"{PREFIXES.get(service, service)}:{action}"
    method, _space, path = action.partition(" ")
    depth = len([part for part in path.lstrip("/").split("/", 1) if part])
    candidates = [
        (len(needed), name)
        for name, its_method, its_depth, needed in _operations_of_s3()
        if (its_method, its_depth) == (method, depth) and needed <= set(query)
    ]
    return f"s3:{max(candidates)[1]}"


@functools.cache
def _operations_of_s3() -> list[tuple[str, str, int, frozenset[str]]]:
    """Return name, method, depth of the path (0: no bucket, 2: an object) and needed query of S3's operations."""
    import botocore.session

    model = botocore.session.get_session().get_service_model("s3")
    found = []
    for name in model.operation_names:
        if name in LEFT_OUT:
            continue
        shape = model.operation_model(name)
        path, _mark, literal = shape.http["requestUri"].partition("?")
        needed = {re.split("=", part)[0] for part in literal.split("&") if part}
        found.append((name, shape.http["method"], path.count("{"), frozenset(needed - {"x-id"} | _required(shape))))
    return found


def _required(shape: Any) -> set[str]:
    """Return the query of an operation that must be given."""
    if shape.input_shape is None:
        return set()
    members = shape.input_shape.members
    return {
        members[name].serialization["name"]
        for name in shape.input_shape.required_members
        if members[name].serialization.get("location") == "querystring"
    }
