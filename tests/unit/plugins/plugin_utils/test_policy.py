# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What policies permit, which ones are refused, and whose names they hold."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._policy import (
    ACTIONS,
    AccessDenied,
    InvalidPolicy,
    Operation,
    check_permission,
    parse_policy,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._policy_file import principals, read_policies

DEPLOY = Operation("CreateDeployment", "HollowWeb", "production")
KEYS = st.sampled_from(["statements", "effect", "principal", "action"])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)
WRITTEN = """
statements:
  - effect: Allow
    principal: [ada, "awx:*"]
    action: "*"
    application: Hollow*
    deployment_group: "*"
  - effect: Deny
    principal: "*"
    action: StopDeployment
    application: "*"
    deployment_group: production
"""


def statement(effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"effect": effect, **dict.fromkeys(("principal", "action", "application", "deployment_group"), "*"), **more}


def permitted(operation: Operation, *statements: dict[str, Any], by: tuple[str, ...] = ("ada",)) -> bool:
    policy = parse_policy({"statements": list(statements)}, "policy.yml")
    try:
        check_permission([policy], by, operation)
    except AccessDenied as error:
        assert (error.code, policy.source in error.message, operation.action in error.message) == (
            "AccessDenied",
            True,
            True,
        )
        return False
    return True


def test_what_nobody_allows_is_denied_and_who_denies_wins() -> None:
    check_permission([], ["ada"], DEPLOY)
    assert not permitted(DEPLOY)
    assert not permitted(DEPLOY, statement(), by=())
    assert permitted(DEPLOY, statement())
    assert not permitted(DEPLOY, statement("Deny"), statement())
    assert not permitted(DEPLOY, statement(), statement("Deny", principal="ada"))
    assert permitted(DEPLOY, statement(), statement("Deny", principal="bob"))
    assert not permitted(DEPLOY, statement(), statement("Deny", principal="bob"), by=("ada", "bob"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"principal": "ad"}, False),
        ({"principal": "ad*"}, True),
        ({"principal": "Ada"}, False),
        ({"principal": ["bob", "ada"]}, True),
        ({"action": "CreateDeployment"}, True),
        ({"action": "codedeploy:createdeployment"}, True),
        ({"action": "*Deployment"}, True),
        ({"action": ["Get*", "List*"]}, False),
        ({"application": "HollowWeb"}, True),
        ({"application": "hollowweb"}, False),
        ({"application": "H*w*b"}, True),
        ({"application": "H*w*bb"}, False),
        ({"application": "Hollow.eb"}, False),
        ({"deployment_group": "prod*"}, True),
        ({"deployment_group": "*prod"}, False),
        ({"deployment_group": "production*"}, True),
    ],
)
def test_patterns(change: dict[str, Any], expected: bool) -> None:
    assert permitted(DEPLOY, statement(**change)) is expected
    assert permitted(DEPLOY, statement(), statement("Deny", **change)) is not expected


def test_what_is_about_all_applications_needs_permission_for_all() -> None:
    everything = Operation("ListApplications")
    assert permitted(everything, statement())
    assert permitted(everything, statement(application="**"))
    assert not permitted(everything, statement(application="Hollow*"))
    assert not permitted(Operation("RegisterApplicationRevision", "HollowWeb"), statement(deployment_group="test*"))


@given(st.text("a*", max_size=8), st.text("ab", max_size=12))
def test_a_star_stands_for_any_characters(pattern: str, name: str) -> None:
    assert permitted(Operation("CreateDeployment", name, "g"), statement(application=f"{pattern}*")) is bool(
        re.match(pattern.replace("*", "[ab]*?"), name)
    )


@given(DOCUMENTS)
def test_any_document_is_a_policy_or_is_refused(document: Any) -> None:
    try:
        policy = parse_policy(document, "policy.yml")
    except InvalidPolicy as error:
        assert error.message.startswith("policy.yml: ")
    else:
        with pytest.raises(AccessDenied):
            check_permission([policy], ["ada"], DEPLOY)


@pytest.mark.parametrize(
    ("given_statement", "problem"),
    [
        ("allow everything", "it is not a mapping"),
        ({**statement(), "effect": "allow"}, "effect is Allow or Deny, not 'allow'"),
        ({**statement(), "user": "ada"}, "unknown key 'user'"),
        ({**statement(), "principal": []}, "principal is a text or a list of texts"),
        ({**statement(), "application": ["a", ""]}, "application is a text or a list of texts"),
        ({**statement(), "deployment_group": 1}, "deployment_group is a text or a list of texts"),
        ({**statement(), "action": "StopDeployments"}, "there is no action 'StopDeployments', only .*StopDeployment"),
        ({"effect": "Deny"}, "principal is missing; .*action is missing; .*application is missing; .*deployment_group"),
    ],
)
def test_a_policy_with_a_mistake_is_not_used_at_all(given_statement: Any, problem: str) -> None:
    with pytest.raises(InvalidPolicy, match=f"^policy.yml: statement 2: .*{problem}"):
        parse_policy({"statements": [statement(), given_statement]}, "policy.yml")


def test_no_policy_is_configured(tmp_path: Path) -> None:
    assert read_policies({}, str(tmp_path / "policy.yml")) == ()


def test_the_system_s_and_one_s_own_must_both_permit(tmp_path: Path) -> None:
    system, own = tmp_path / "system.yml", tmp_path / "own.yml"
    system.write_text(WRITTEN)
    policies = read_policies({}, str(system))
    check_permission(policies, ["ada"], DEPLOY)
    check_permission(policies, ["awx:bob"], DEPLOY)
    for by, action in (("ada", "StopDeployment"), ("bob", "GetDeployment")):
        with pytest.raises(AccessDenied, match=f"{by} may not do {action} on application HollowWeb, group production"):
            check_permission(policies, [by], Operation(action, "HollowWeb", "production"))
    own.write_text("statements: []\n")
    both = read_policies({"CODEDEPLOY_POLICY": str(own)}, str(system))
    assert [policy.source for policy in both] == [str(system), str(own)]
    with pytest.raises(AccessDenied, match=f"no statement allows it in {own}"):
        check_permission(both, ["ada"], DEPLOY)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "a policy is a mapping"),
        ("statements: []\nstatements: []\n", "key 'statements' is there twice"),
        ("statements: [", "is not valid YAML"),
        ("statements: !!python/object/apply:os.system [id]", "is not valid YAML"),
        ("\x00", "is not valid YAML"),
        ("[" * 3000, "is not valid YAML"),
    ],
)
def test_a_file_that_is_no_policy_permits_nothing(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "policy.yml"
    path.write_text(content)
    with pytest.raises(InvalidPolicy, match=problem) as caught:
        read_policies({}, str(path))
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_trusted_or_read_permits_nothing(tmp_path: Path) -> None:
    path = tmp_path / "policy.yml"
    path.write_text(WRITTEN)
    path.chmod(0o666)
    with pytest.raises(InvalidPolicy, match="may be changed by everybody"):
        read_policies({}, str(path))
    with pytest.raises(InvalidPolicy, match="cannot be read"):
        read_policies({}, str(tmp_path))
    with pytest.raises(InvalidPolicy, match="There is no policy .*, which CODEDEPLOY_POLICY names"):
        read_policies({"CODEDEPLOY_POLICY": str(tmp_path / "missing.yml")}, str(tmp_path / "none.yml"))
    path.write_bytes(b"\xff\xfe\x00")
    path.chmod(0o600)
    with pytest.raises(InvalidPolicy, match="is not valid YAML"):
        read_policies({}, str(path))


def test_the_user_is_the_process_s_own_whatever_the_environment_says() -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    assert principals({"awx_user_name": "admin"}, {"LOGNAME": "admin", "USER": "admin", "SUDO_USER": "admin"}) == (me,)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import collection_loader; collection_loader.register_collection()\n"
        "from ansible_collections.agentless.codedeploy.plugins.plugin_utils._policy_file import principals\n"
        "print(*principals({}))\n"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parents[3])]
    environment = {**os.environ, "LOGNAME": "admin", "USER": "admin"}
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip() == me


def test_in_a_job_of_awx_it_is_its_user_and_its_job_template() -> None:
    job = {"JOB_ID": "12", "AWX_HOST": "https://awx.example"}
    variables = {"awx_user_name": "ada", "awx_job_template_name": "Deploy HollowWeb"}
    assert principals(variables, job) == ("awx:ada", "awx-job-template:Deploy HollowWeb")
    assert principals({"awx_job_template_name": "Nightly"}, job) == ("awx-job-template:Nightly",)
    assert principals({}, job) == ()
    assert len(set(ACTIONS)) == len(ACTIONS)
