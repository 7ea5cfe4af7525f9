# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What deployments leave behind: pointers of the group, health and hooks of its instances, revisions, lists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.deployments import GROUP_ID, deploy, install_event, request, revision

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    InvalidInput,
    active_deployment,
    ask_to_start,
    conclude,
    create_deployment,
    finish_instance,
    get_deployment,
    get_group,
    get_targets,
    hooks_of,
    last_successful_revision,
    list_deployments,
    list_revisions,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store


def health(store: Store) -> dict[str, tuple[bool | None, str]]:
    group = get_group(store, GROUP_ID)
    assert group
    return group.instances


def test_pointers_and_health_after_success(store: Store) -> None:
    first = deploy(store, request("abcd"))
    assert set(health(store).values()) == {(True, "Current")}
    second = deploy(store, request("abcd", number=2), failing="bc")
    assert (second.status, second.previous_revision) == ("Succeeded", revision(1))
    group = get_group(store, GROUP_ID)
    assert group.target_revision == revision(2) == last_successful_revision(store, GROUP_ID)
    assert group.last_successful_deployment["deployment_id"] == second.deployment_id != first.deployment_id
    assert group.instances == {
        "a": (True, "Current"),
        "b": (False, "Unknown"),
        "c": (False, "Unknown"),
        "d": (True, "Current"),
    }
    third = create_deployment(store, request("abcde", number=2))
    assert third.order == list("bcead")


def test_pointers_and_health_after_failure(store: Store) -> None:
    first = deploy(store, request("abcd", "HalfAtATime"))
    second = deploy(store, request("abcd", "HalfAtATime", 2), failing="bc")
    assert (second.status, [target.status for target in get_targets(store, second.deployment_id)]) == (
        "Failed",
        ["Succeeded", "Failed", "Failed", "Skipped"],
    )
    group = get_group(store, GROUP_ID)
    assert group.target_revision == revision(1) == last_successful_revision(store, GROUP_ID)
    assert group.last_successful_deployment["deployment_id"] == first.deployment_id
    assert group.last_attempted_deployment["deployment_id"] == second.deployment_id
    assert group.instances == {
        "a": (True, "Old"),
        "b": (False, "Current"),
        "c": (False, "Current"),
        "d": (True, "Current"),
    }
    # Failed ones first, then what runs another revision, then what is current.
    assert create_deployment(store, request("abcd", number=3)).order == list("bcad")


def test_a_limited_deployment_counts_the_whole_group_and_moves_no_pointer(store: Store) -> None:
    first = deploy(store, request("abcd", "HalfAtATime"))
    limited = create_deployment(store, request("abcd", "HalfAtATime", 2, limited_to=["a", "b", "elsewhere"]))
    assert (limited.limited, limited.order, limited.total, limited.window) == (True, ["a", "b"], 4, 2)
    for name in "ab":
        assert ask_to_start(store, limited.deployment_id, name).action == "go"
    finish_instance(store, limited.deployment_id, "a", "Failed")
    assert finish_instance(store, limited.deployment_id, "b", "Succeeded") == "Succeeded"
    group = get_group(store, GROUP_ID)
    assert group.target_revision == revision(1)
    assert group.last_successful_deployment["deployment_id"] == first.deployment_id
    assert group.last_attempted_deployment["deployment_id"] == first.deployment_id
    assert group.instances["a"] == (False, "Unknown")
    assert group.instances["b"] == (True, "Old")
    assert not create_deployment(store, request("abcd", limited_to=list("dcba"))).limited


def test_only_outdated_instances(store: Store) -> None:
    deploy(store, request("abcd"), failing="a")
    again = request("abcde", "OneAtATime", update_outdated_instances_only=True)
    assert create_deployment(store, again).order == ["a", "e"]
    conclude(store, active_deployment(store, GROUP_ID).deployment_id)
    mended = deploy(store, again)
    assert (mended.status, mended.order) == ("Succeeded", ["a", "e"])
    pointers = get_group(store, GROUP_ID)
    nothing = create_deployment(store, again)
    assert (nothing.status, nothing.order, nothing.active) == ("Succeeded", [], False)
    assert get_group(store, GROUP_ID) == pointers


def test_a_rollback_is_linked_and_moves_the_pointers(store: Store) -> None:
    deploy(store, request("abcd", "HalfAtATime"))
    failed = deploy(store, request("abcd", "HalfAtATime", 2), failing="bc")
    rollback = deploy(
        store,
        request(
            "abcd", "HalfAtATime", 1, only=list("abc"), rollback_of=failed.deployment_id, creator="codeDeployRollback"
        ),
    )
    assert (rollback.status, rollback.creator, rollback.order) == ("Succeeded", "codeDeployRollback", ["b", "c", "a"])
    assert rollback.rollback_info["rollback_triggering_deployment_id"] == failed.deployment_id
    linked = get_deployment(store, failed.deployment_id).rollback_info
    assert linked["rollback_deployment_id"] == rollback.deployment_id
    group = get_group(store, GROUP_ID)
    assert group.last_successful_deployment["deployment_id"] == rollback.deployment_id
    assert set(group.instances.values()) == {(True, "Current")}


def test_hooks_are_those_of_the_revision_installed_last(store: Store) -> None:
    assert hooks_of(store, GROUP_ID, "a") is None

    def run(status: str, events: list[dict[str, Any]], hooks: dict[str, int] | None) -> dict[str, int] | None:
        deployment_id = create_deployment(store, request("ab")).deployment_id
        ask_to_start(store, deployment_id, "a")
        finish_instance(store, deployment_id, "a", status, events, hooks=hooks)
        conclude(store, deployment_id)
        return hooks_of(store, GROUP_ID, "a")

    assert run("Succeeded", [install_event()], {"ApplicationStop": 2}) == {"ApplicationStop": 2}
    assert run("Failed", [install_event("Failed")], None) == {"ApplicationStop": 2}
    assert run("Failed", [install_event()], {}) == {}
    assert run("Failed", [install_event()], None) is None
    assert run("Succeeded", [install_event()], {"Install": 0}) == {"Install": 0}
    assert run("Unknown", [], None) is None


def test_lists(store: Store) -> None:
    times = iter(range(1000, 2000))
    store.clock = lambda: float(next(times))
    first = deploy(store, request("ab", number=1), failing="ab")
    second = deploy(store, request("ab", number=2))
    third = create_deployment(store, request("ab", number=3))

    def ids(**filters: Any) -> list[str]:
        return [deployment.deployment_id for deployment in list_deployments(store, **filters)]

    assert ids() == [third.deployment_id, second.deployment_id, first.deployment_id]
    assert ids(statuses=["Failed", "Created"]) == [third.deployment_id, first.deployment_id]
    assert ids(application_name="HollowWeb", deployment_group_name="production", limit=1) == [third.deployment_id]
    assert ids(application_name="other") == []
    assert ids(created_from=second.create_time, created_to=second.create_time) == [second.deployment_id]
    assert ids(deployment_group_id=GROUP_ID, created_to=second.create_time - 1) == [first.deployment_id]
    revisions = list_revisions(store, "HollowWeb", sort_by="lastUsedTime", descending=True)
    assert [known.revision for known in revisions] == [revision(3), revision(2), revision(1)]
    assert [known.deployment_groups for known in revisions] == [[], ["production"], []]
    assert [known.revision for known in list_revisions(store, deployed="include")] == [revision(2)]
    assert len(list_revisions(store, deployed="exclude")) == 2
    assert revisions[1].description == f"Application revision registered by Deployment ID: {second.deployment_id}"
    assert revisions[1].first_used_time == revisions[1].register_time == second.create_time


def test_the_same_content_from_another_folder_is_the_same_revision(store: Store) -> None:
    deploy(store, request("a"))
    moved = {**revision(1), "local_location": {"path": "/elsewhere/1.tgz", "bundle_type": "tgz"}}
    wanted = replace(request("a", update_outdated_instances_only=True), revision=moved)
    assert create_deployment(store, wanted).order == []
    assert [known.revision for known in list_revisions(store)] == [moved]
    web = {"revision_type": "URL", "url_location": {"url": "https://a.example/1.tgz"}, "digest": "1"}
    assert create_deployment(store, replace(wanted, revision=web)).order == ["a"]


def test_an_id_of_another_application_is_refused(store: Store) -> None:
    deploy(store, request("a"))
    with pytest.raises(InvalidInput, match="deploy_group_id"):
        create_deployment(store, replace(request("a"), application_name="Other"))
    renamed = replace(request("a"), deployment_group_name="live")
    assert deploy(store, renamed).previous_revision == revision(1)
    assert get_group(store, GROUP_ID).deployment_group_name == "live"
