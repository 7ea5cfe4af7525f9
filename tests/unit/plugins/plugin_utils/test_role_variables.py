# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of the role deploy, checked by what its argument specification says."""

from __future__ import annotations

import pytest

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._role_variables import (
    almost_variables,
    role_options,
    wrong_types,
)


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("deploy_poll_after", "soon", "cannot be converted to"),
        ("deploy_rollout", "sideways", "value of deploy_rollout must be one of"),
        ("deploy_revision_headers", "Authorization: hunter2", "unable to convert to dict"),
    ],
)
def test_values_of_another_type_are_problems(name: str, value: str, part: str) -> None:
    (problem,) = wrong_types(role_options(), {name: value})
    assert problem.startswith(name)
    assert part in problem
    assert "hunter2" not in problem


def test_values_of_their_type_are_none_nor_is_what_is_missing() -> None:
    given = {"deploy_poll_after": "5", "deploy_become": "yes", "deploy_rollout": "window"}
    assert wrong_types(role_options(), given) == []


@pytest.mark.parametrize("name", ["deploy_config", "deploy_user", "deploy_key", "web_port", "config"])
def test_names_of_its_own_and_of_somebody_else(name: str) -> None:
    assert almost_variables(role_options(), [name]) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [("deploy_confg", "deploy_config"), ("deploy_file_exist_behavior", "deploy_file_exists_behavior")],
)
def test_names_that_are_almost_its_own(name: str, meant: str) -> None:
    (warning,) = almost_variables(role_options(), [name])
    assert warning == f"{name} is not a variable of the role deploy; is {meant} meant?"
