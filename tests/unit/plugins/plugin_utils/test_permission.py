# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What asks the policies: who is denied, for whom, and what the audit trail has of it, on both databases."""

from __future__ import annotations

import os
import pwd
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.utils.vars import load_extra_vars
from support.deployments import ELSEWHERE, GROUP_ID, deploy, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import list_audit
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import (
    requester,
    require,
    require_for_group,
    require_unless_own,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._policy import AccessDenied, InvalidPolicy
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store

ME = pwd.getpwuid(os.getuid()).pw_name
JOB = {"JOB_ID": "12", "AWX_HOST": "https://awx.example"}


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file of the policy that holds; it permits what is about the application HollowWeb alone."""
    path = tmp_path / "policy.yml"
    write(path, application="HollowWeb")
    monkeypatch.setenv("CODEDEPLOY_POLICY", str(path))
    return path


def write(path: Path, **patterns: Any) -> None:
    keys = dict.fromkeys(("principal", "action", "application", "deployment_group"), "*")
    path.write_text(yaml.safe_dump({"statements": [{"effect": "Allow", **keys, **patterns}]}))


def in_job(monkeypatch: pytest.MonkeyPatch, **variables: Any) -> None:
    """Be a job of AWX that was given these extra variables."""
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(load_extra_vars, "extra_vars", variables, raising=False)


def audited(store: Store) -> list[tuple[str, str, Any]]:
    return [(entry.event_name, entry.principal, entry.result.get("error_code")) for entry in list_audit(store)]


def test_without_a_policy_everything_is_permitted_and_reads_are_audited(store: Store) -> None:
    require(store, "CreateDeployment", "HollowWeb", "production")
    assert list_audit(store) == []
    require(store, "GetDeployment", "HollowWeb", "production", deployment_id="d-75I7MBT7C")
    (entry,) = list_audit(store, "d-75I7MBT7C")
    assert (entry.event_name, entry.principal, entry.result) == ("GetDeployment", ME, {})
    assert entry.source.endswith(f"process {os.getppid()}")
    assert entry.parameters == {
        "application_name": "HollowWeb",
        "deployment_group_name": "production",
        "deployment_id": "d-75I7MBT7C",
    }


def test_what_is_denied_is_audited(store: Store, policy: Path) -> None:
    require(store, "StopDeployment", "HollowWeb", "production")
    with pytest.raises(AccessDenied, match=f"{ME} may not do StopDeployment on application Other, group production"):
        require(store, "StopDeployment", "Other", "production")
    with pytest.raises(AccessDenied):
        require(store, "ListDeployments")
    assert audited(store) == [("StopDeployment", ME, "AccessDenied"), ("ListDeployments", ME, "AccessDenied")]


def test_a_policy_that_cannot_be_used_permits_nothing(store: Store, policy: Path) -> None:
    for spoil in (lambda: policy.write_text("statements: yes"), lambda: policy.chmod(0o666), policy.unlink):
        spoil()
        with pytest.raises(InvalidPolicy):
            require(store, "GetDeployment", "HollowWeb", "production")
    assert audited(store) == [("GetDeployment", ME, "InvalidPolicy")] * 3


def test_it_is_denied_also_when_the_record_cannot_be_written(tmp_path: Path, policy: Path) -> None:
    store = open_store(str(tmp_path / "policy.yml" / "deployments.sqlite"))
    require(store, "GetDeployment", "HollowWeb", "production")
    with pytest.raises(AccessDenied):
        require(store, "GetDeployment", "Other", "production")


def test_an_id_cannot_be_used_under_another_name(store: Store, policy: Path) -> None:
    deploy(store, request("ab"))
    write(policy, deployment_group="staging")
    require_for_group(store, "CreateDeployment", "HollowWeb", "staging", "another id")
    with pytest.raises(AccessDenied, match="group production"):
        require_for_group(store, "CreateDeployment", "HollowWeb", "staging", GROUP_ID)


def test_what_this_run_has_created_is_not_asked_for_again(store: Store, policy: Path) -> None:
    deployment = deploy(store, request("ab", owner=requester()))
    write(policy, application="Other")
    require_unless_own(store, "StopDeployment", deployment)
    # A process that is gone, and whose number this run has been given.
    former = replace(deployment.owner, pid_start="an earlier start")
    for owner in (ELSEWHERE, former):
        with pytest.raises(AccessDenied):
            require_unless_own(store, "StopDeployment", replace(deployment, owner=owner))


def test_in_a_job_of_awx_it_is_awx_s_user(store: Store, policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_job(monkeypatch, awx_user_name="ada", awx_job_template_name="Deploy", awx_job_id=12)
    write(policy, principal="awx:ada")
    require(store, "CreateDeployment", "HollowWeb", "production")
    owner = requester("play 3")
    assert (owner.user, owner.run_id) == ("awx:ada, awx-job-template:Deploy", "AWX job 12, play 3")
    write(policy, principal=ME)
    with pytest.raises(AccessDenied):
        require(store, "CreateDeployment", "HollowWeb", "production")
    assert list_audit(store)[0].source.endswith("run AWX job 12")


def test_tower_has_its_own_names(store: Store, policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_job(monkeypatch, tower_user_name="ada", tower_job_id=12)
    write(policy, principal="awx:ada")
    require(store, "CreateDeployment", "HollowWeb", "production")
    assert requester().run_id == "AWX job 12"


def test_a_job_of_nobody_may_nothing(store: Store, policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_job(monkeypatch)
    with pytest.raises(AccessDenied, match="An unknown user"):
        require(store, "CreateDeployment", "HollowWeb", "production")


def test_variables_mean_nothing_outside_of_awx(store: Store, policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_extra_vars, "extra_vars", {"awx_user_name": "ada"}, raising=False)
    write(policy, principal="awx:*")
    with pytest.raises(AccessDenied):
        require(store, "CreateDeployment", "HollowWeb", "production")
    assert requester().user == ME
