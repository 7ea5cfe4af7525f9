# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revisions that are registered without being deployed, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from support.deployments import ELSEWHERE, deploy, request, revision

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    InvalidInput,
    is_registered,
    list_audit,
    list_revisions,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._registration import (
    get_revision,
    register_revision,
    would_register,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store


def test_a_revision_is_registered_once(store: Store) -> None:
    assert get_revision(store, "HollowWeb", revision(1)) is None
    assert would_register(None, revision(1), None)
    registered = register_revision(store, ELSEWHERE, "HollowWeb", revision(1), "Build 1")
    assert (registered.description, registered.first_used_time) == ("Build 1", None)
    assert not would_register(registered, revision(1), None)
    assert not would_register(registered, revision(1), "Build 1")
    assert register_revision(store, ELSEWHERE, "HollowWeb", revision(1)) == registered
    assert is_registered(store, "HollowWeb", revision(1))
    assert not is_registered(store, "Other", revision(1))
    assert list_revisions(store) == [registered]


def test_a_later_registration_brings_a_place_and_a_description(store: Store) -> None:
    registered = register_revision(store, ELSEWHERE, "HollowWeb", revision(1))
    moved = {**revision(1), "local_location": {"path": "/elsewhere/1.tgz", "bundle_type": "tgz"}}
    assert would_register(registered, moved, None)
    assert would_register(registered, revision(1), "Build 1")
    again = register_revision(store, ELSEWHERE, "HollowWeb", moved, "Build 1")
    assert (again.revision, again.description, again.register_time) == (moved, "Build 1", registered.register_time)


def test_a_deployment_uses_what_is_registered(store: Store) -> None:
    registered = register_revision(store, ELSEWHERE, "HollowWeb", revision(1), "Build 1")
    deploy(store, request("ab"))
    (used,) = list_revisions(store, "HollowWeb")
    assert (used.description, used.register_time) == ("Build 1", registered.register_time)
    assert used.first_used_time is not None
    assert used.deployment_groups == ["production"]


def in_s3(bucket: str, key: str) -> dict[str, Any]:
    """A revision in a bucket."""
    return {"revision_type": "S3", "s3_location": {"bucket": bucket, "key": key, "bundle_type": "zip"}}


def test_revisions_are_filtered_by_their_place_in_s3(store: Store) -> None:
    main, other, elsewhere = in_s3("b", "web/main/1.zip"), in_s3("b", "web/other.zip"), in_s3("c", "web/main/1.zip")
    for one in (revision(1), main, other, elsewhere):
        register_revision(store, ELSEWHERE, "HollowWeb", one)

    def listed(*place: str) -> list[dict[str, Any]]:
        return [one.revision for one in list_revisions(store, "HollowWeb", "registerTime", False, "ignore", *place)]

    assert listed("b") == [main, other]
    assert listed("b", "web/main/") == [main]
    assert listed("b", "main") == []
    assert listed("b", "web/%") == []
    with pytest.raises(InvalidInput, match="s3_bucket") as refused:
        list_revisions(store, s3_key_prefix="web/")
    assert refused.value.code == "BucketNameFilterRequired"


def test_who_registered_it_is_audited(store: Store) -> None:
    register_revision(store, ELSEWHERE, "HollowWeb", revision(1), "Build 1")
    (entry,) = list_audit(store)
    assert (entry.event_name, entry.principal) == ("RegisterApplicationRevision", "ada")
    assert entry.parameters == {
        "application_name": "HollowWeb",
        "revision": revision(1),
        "description": "Build 1",
    }


@pytest.mark.parametrize(
    ("application", "description", "code"),
    [("Hollow Web", None, "InvalidApplicationName"), ("HollowWeb", "x" * 257, "DescriptionTooLong")],
)
def test_input_that_breaks_a_rule_registers_nothing(
    store: Store, application: str, description: str | None, code: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        register_revision(store, ELSEWHERE, application, revision(1), description)
    assert caught.value.code == code
    assert list_revisions(store) == []
