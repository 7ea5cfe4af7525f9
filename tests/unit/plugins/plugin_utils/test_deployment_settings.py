# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a deployment: the run's own, the group's, the defaults."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import (
    SETTINGS,
    Settings,
    arguments_of_settings,
    group_id_of,
    settle,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import PreflightError


def test_defaults() -> None:
    settings = settle({"revision": "x"}, "web")
    assert (settings.application_name, settings.deployment_group_name) == ("web", "web")
    assert settings.config == "CodeDeployDefault.OneAtATime"
    assert settings.file_exists_behavior == "DISALLOW"
    assert settings.deployment_group_id == group_id_of("web", "web")


def test_arguments_come_before_settings() -> None:
    group: dict[str, Any] = {
        "application_name": "HollowWeb",
        "deployment_group_name": "production",
        "deployment_group_id": "11111111-2222-3333-4444-555555555555",
        "deployment_config_name": "CodeDeployDefault.HalfAtATime",
        "ignore_application_stop_failures": True,
        "file_exists_behavior": "RETAIN",
    }
    settings = settle({"deployment_groups": {"HollowWeb_production": group}}, "HollowWeb_production")
    assert (settings.application_name, settings.deployment_group_name) == ("HollowWeb", "production")
    assert settings.deployment_group_id == "11111111-2222-3333-4444-555555555555"
    assert settings.config == "CodeDeployDefault.HalfAtATime"
    assert settings.ignore_application_stop_failures
    arguments = {
        "deployment_groups": {"HollowWeb_production": group},
        "ignore_application_stop_failures": False,
        "file_exists_behavior": "OVERWRITE",
        "deployment_config": {"minimum_healthy_hosts": {"type": "HOST_COUNT", "value": 1}},
    }
    settings = settle(arguments, "HollowWeb_production")
    assert not settings.ignore_application_stop_failures
    assert settings.file_exists_behavior == "OVERWRITE"
    assert settings.config == arguments["deployment_config"]


def test_group_ids_are_stable_and_differ() -> None:
    assert group_id_of("HollowWeb", "production") == group_id_of("HollowWeb", "production")
    assert len({group_id_of("a", "b"), group_id_of("a", "c"), group_id_of("c", "b")}) == 3


def test_every_setting_of_a_group_can_be_overridden() -> None:
    values: dict[str, list[Any]] = {
        "str": ["OVERWRITE", "RETAIN"],
        "raw": ["a", "b"],
        "bool": [True, False],
        "int": [1, 0],
        "float": [1.5, 0.0],
        "dict": [{"a": 1}, {}],
        "list": [["a"], []],
    }
    for setting in SETTINGS:
        of_group, of_run = values[setting.type]
        own = {setting.group_setting or setting.name: of_group}
        assert setting.chosen({}, own) == of_group
        assert setting.chosen({setting.name: None}, own) == of_group
        # What the run says replaces the group's as a whole, also when it is empty.
        assert setting.chosen({setting.name: of_run}, own) == of_run
        assert setting.chosen({}, {}) == setting.default
        assert setting.name in arguments_of_settings()


def test_what_is_recorded() -> None:
    own = {"alarm_configuration": {"enabled": True, "alarms": [{"name": "errors"}]}, "ec2_deployment_options": {}}
    settings = settle({"deployment_groups": {"web": own}, "alarm_configuration": {"enabled": False}}, "web")
    assert settings.options["alarm_configuration"] == {"enabled": False}
    assert settings.options["auto_rollback_configuration"] == {}
    assert "trigger_configurations" not in settings.options


def test_problems() -> None:
    arguments = {"file_exists_behavior": "KEEP", "auto_rollback_configuration": {"events": ["SUNSET"]}}
    found = settle(arguments, "web").problems()
    assert [problem.partition(":")[0] for problem in found] == [
        "deploy_file_exists_behavior",
        "deploy_auto_rollback_configuration",
    ]
    assert settle({}, "web").problems() == []


def test_what_the_record_would_refuse_is_a_problem() -> None:
    arguments = {"application_name": "Hollow Web", "description": "x" * 257}
    found = settle({**arguments, "deployment_groups": {"web": {"deployment_group_name": "a/b"}}}, "web").problems()
    codes = [problem.partition(":")[0] for problem in found]
    assert codes == ["InvalidApplicationName", "InvalidDeploymentGroupName", "DescriptionTooLong"]


def of_group(**own: object) -> Settings:
    return settle({"deployment_groups": {"web": own}}, "web")


def test_settings_of_a_group_get_their_types() -> None:
    # A variable that is a template gives a text in older versions of Ansible.
    settings = of_group(ignore_application_stop_failures="False", update_outdated_instances_only="yes")
    assert (settings.ignore_application_stop_failures, settings.update_outdated_instances_only) == (False, True)
    with pytest.raises(PreflightError, match="the group web: argument 'auto_rollback_configuration' is of type"):
        of_group(auto_rollback_configuration="DEPLOYMENT_FAILURE")
    with pytest.raises(PreflightError, match="the group web must be a mapping of settings, not 'HollowWeb'"):
        settle({"deployment_groups": {"web": "HollowWeb"}}, "web")


def test_names_that_are_no_settings_of_a_group_are_told() -> None:
    settings = of_group(deployment_config_nam="HalfAtATime", applicationName="HollowWeb", tags=[], owner="ada")
    assert settings.not_supported == [
        "deployment_config_nam (deployment_config_name?)",
        "applicationName (application_name?)",
        "owner",
    ]


@pytest.mark.parametrize(("switch", "value"), [("false", False), ("true", True)])
def test_switches_that_are_texts(switch: str, value: bool) -> None:
    # As deploy_auto_rollback_configuration="enabled=false" on the command line gives them.
    settings = settle({"auto_rollback_configuration": {"enabled": switch}}, "web")
    assert settings.recorded["auto_rollback_configuration"] == {"enabled": value}
    with pytest.raises(PreflightError, match="deploy_alarm_configuration: .*'perhaps'"):
        settle({"alarm_configuration": {"enabled": "perhaps"}}, "web")


@pytest.mark.parametrize(
    ("configuration", "problem"),
    [
        ({"enabled": True}, "InvalidAutoRollbackConfig: it is enabled and names no events"),
        ({"enable": False, "events": ["DEPLOYMENT_FAILURE"]}, "enable: it has enabled and events"),
    ],
)
def test_auto_rollback_that_does_not_say_what_is_meant(configuration: dict[str, object], problem: str) -> None:
    (found,) = settle({"auto_rollback_configuration": configuration}, "web").problems()
    assert found.startswith(f"deploy_auto_rollback_configuration: {problem}")
