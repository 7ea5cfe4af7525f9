# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left to do of a former deployment, and when there is nothing."""

from __future__ import annotations

from typing import Any

import pytest
from support.deployments import GONE, deploy, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._create_deployment import Fleet
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import settle
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ask_to_start,
    create_deployment,
    finish_instance,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._resume import Resumption, resume
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

GROUP = "HollowWeb_production"
OF_GROUP = {"application_name": "HollowWeb", "deployment_group_name": "production"}


def resumed(store: Store, instances: str, limited_to: str | None = None, **arguments: Any) -> Resumption:
    """Ask what is left to do in a group of instances with one letter each."""
    group = {**OF_GROUP, "deployment_group_id": request("a").deployment_group_id}
    arguments = {"deployment_groups": {GROUP: group}, "resume": True, **arguments}
    fleet = Fleet(list(instances), None if limited_to is None else list(limited_to))
    return resume(store, arguments, settle(arguments, GROUP), fleet)


def test_what_failed_was_not_reached_or_is_outdated(store: Store) -> None:
    deploy(store, request("abcd", number=1))
    failed = deploy(store, request("abcd", "OneAtATime", number=2), failing="b")
    found = resumed(store, "abcde")
    assert (found.former.deployment_id, found.settings.revision) == (failed.deployment_id, failed.deployment_id)
    assert found.settings.recorded["resumed_deployment_id"] == failed.deployment_id
    assert found.instances == ["b", "c", "d", "e"]
    assert found.fleet.limited_to is None
    assert found.reasons == {
        "a": f"succeeded in {failed.deployment_id}",
        "b": f"failed in {failed.deployment_id}",
        "c": f"not reached by {failed.deployment_id}",
        "d": f"not reached by {failed.deployment_id}",
        "e": "runs another revision or is not healthy",
    }
    part = resumed(store, "abcde", "ab")
    assert (part.instances, part.reasons["c"]) == (["b"], "--limit leaves it out")
    with pytest.raises(PreflightError, match="everything runs the revision of"):
        resumed(store, "abcde", "a")


def test_what_a_dead_controller_left(store: Store) -> None:
    # The same revision as before: what was in work is not known to run it, although it did before.
    deploy(store, request("abc"))
    killed = create_deployment(store, request("abc", owner=GONE)).deployment_id
    ask_to_start(store, killed, "a")
    finish_instance(store, killed, "a", "Succeeded")
    ask_to_start(store, killed, "b")
    found = resumed(store, "abc")
    assert found.instances == ["b", "c"]
    assert found.reasons["b"] == f"in work in {killed}"


def test_one_that_was_resumed_and_has_failed_again(store: Store) -> None:
    deploy(store, request("abc", "OneAtATime"), failing="a")
    second = deploy(store, request("abc", "OneAtATime", only=["a", "b", "c"]), failing="b")
    found = resumed(store, "abc")
    assert (found.former.deployment_id, found.instances) == (second.deployment_id, ["b", "c"])


def test_a_limited_one_stays_limited(store: Store) -> None:
    limited = deploy(store, request("abcd", limited_to=["a", "b"]), failing="b")
    found = resumed(store, "abcd")
    assert (found.former.deployment_id, found.instances) == (limited.deployment_id, ["b"])
    assert found.fleet.limited_to == ["a", "b"]
    assert found.reasons["c"] == f"{limited.deployment_id} was limited to others"
    with pytest.raises(PreflightError, match="was limited to a, b, none of which is here"):
        resumed(store, "abcd", "cd")


def test_settings_are_the_former_ones_below_those_of_the_run(store: Store) -> None:
    options = {
        "deployment_config": {"minimum_healthy_hosts": {"type": "HOST_COUNT", "value": 1}},
        "event_options": {"reject_setuid": True},
        "auto_rollback_configuration": {"events": ["DEPLOYMENT_FAILURE"]},
        "appspec_filename": "deploy/appspec.yml",
        "deployment_group": GROUP,
    }
    more: dict[str, Any] = {"file_exists_behavior": "RETAIN", "ignore_application_stop_failures": True}
    deploy(store, request("ab", options=options, update_outdated_instances_only=True, **more), failing="a")
    settings = resumed(store, "ab").settings
    assert settings.config == options["deployment_config"]
    assert settings.event_options == {"reject_setuid": True}
    assert settings.recorded["auto_rollback_configuration"] == options["auto_rollback_configuration"]
    assert settings.appspec_filename == "deploy/appspec.yml"
    assert (settings.file_exists_behavior, settings.ignore_application_stop_failures) == ("RETAIN", True)
    assert (settings.application_name, settings.deployment_group_name) == ("HollowWeb", "production")
    assert not settings.update_outdated_instances_only
    settings = resumed(store, "ab", file_exists_behavior="OVERWRITE", auto_rollback_configuration={}).settings
    assert (settings.file_exists_behavior, settings.recorded["auto_rollback_configuration"]) == ("OVERWRITE", {})


def test_nothing_to_resume(store: Store) -> None:
    with pytest.raises(PreflightError, match="production has no deployment yet"):
        resumed(store, "ab")
    failed = deploy(store, request("ab"), failing="ab")
    with pytest.raises(PreflightError, match="leave deploy_revision out"):
        resumed(store, "ab", revision="./other")
    assert resumed(store, "ab", revision=failed.deployment_id).instances == ["a", "b"]
    deploy(store, request("ab", creator="codeDeployRollback", rollback_of=failed.deployment_id))
    with pytest.raises(PreflightError, match=f"deploy that with -e deploy_revision={failed.deployment_id}"):
        resumed(store, "ab")
