# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment that succeeds, one that fails and one with an unreachable instance, on every supported ansible-core."""

from __future__ import annotations

import json

import pytest
from support import matrix
from support.applications import DESTINATION, Application, installed_version
from support.interpreters import interpreters
from support.record import deployments, events, statuses

DEPLOY = "agentless.codedeploy.deploy"


@pytest.fixture(params=matrix.CORES)
def core_controller(request, make_controller):
    """A controller with one of the supported versions of ansible-core."""
    return make_controller(matrix.environment(request.param))


def deploy(controller, inventory, application, **more):
    variables = {"deploy_application": "HollowWeb", "deploy_config": "CodeDeployDefault.OneAtATime", **more}
    return controller.playbook(DEPLOY, inventory, deploy_group="web", deploy_revision=application.folder, **variables)


def recorded(controller):
    """Return the status of the only deployment, and of its instances."""
    (deployment,) = deployments(controller)
    return deployment["status"], statuses(controller, deployment["deploymentId"])


def test_success(core_controller, light_hosts, tmp_path):
    hosts = light_hosts(3)
    application = Application(
        tmp_path / "application", "1", ApplicationStart='test "$(id -u)" = 0', ValidateService=":"
    )
    result = deploy(core_controller, hosts.inventory(tmp_path / "inventory.yml", "web"), application)
    assert result.rc == 0, result
    assert [host.path(f"{DESTINATION}/version.txt").read_text() for host in hosts.hosts] == ["1"] * 3
    assert recorded(core_controller) == ("Succeeded", {"web1": "Succeeded", "web2": "Succeeded", "web3": "Succeeded"})


def test_events_that_are_followed(core_controller, light_hosts, tmp_path):
    """The events are over only after the controller has read the instance's event log several times."""
    hosts = light_hosts(1)
    application = Application(tmp_path / "application", "1", AfterInstall="sleep 2", ValidateService="sleep 2")
    inventory = hosts.inventory(tmp_path / "inventory.yml", "web")
    result = deploy(core_controller, inventory, application, deploy_poll_after=0)
    assert result.rc == 0, result
    assert "web1: ValidateService Succeeded" in result.stdout
    assert recorded(core_controller) == ("Succeeded", {"web1": "Succeeded"})


def test_failure(core_controller, light_hosts, tmp_path):
    hosts = light_hosts(3)
    application = Application(tmp_path / "application", "1", ValidateService="echo no answer; exit 7")
    result = deploy(core_controller, hosts.inventory(tmp_path / "inventory.yml", "web"), application)
    assert result.rc == 2, result
    status, instances = recorded(core_controller)
    assert status == "Failed"
    # Two of three are to stay healthy: after one failure no other instance is touched.
    assert sorted(instances.values()) == ["Failed", "Skipped", "Skipped"]
    failed = next(name for name, state in instances.items() if state == "Failed")
    (deployment,) = deployments(core_controller)
    event = events(core_controller, deployment["deploymentId"], failed)["ValidateService"]
    assert event["diagnostics"]["errorCode"] == "ScriptFailed"
    assert "no answer" in event["diagnostics"]["logTail"]
    assert "no answer" in result.stdout


def test_unreachable_instance(core_controller, light_hosts, tmp_path):
    hosts = light_hosts(3)
    hosts[1].stop_sshd()
    application = Application(tmp_path / "application", "1")
    result = deploy(core_controller, hosts.inventory(tmp_path / "inventory.yml", "web"), application)
    assert "UNREACHABLE" in result.stdout + result.stderr, result
    assert result.rc != 0, result
    assert recorded(core_controller) == ("Failed", {"web1": "Succeeded", "web2": "Failed", "web3": "Skipped"})
    assert not hosts[1].path(f"{DESTINATION}/version.txt").exists()


@pytest.mark.parametrize("core", matrix.CORES)
def test_success_on_this_machine(core, make_controller, local_fleet, tmp_path):
    fleet = local_fleet(2)
    application = Application(tmp_path / "application", "1", ApplicationStart=":")
    controller = make_controller(matrix.environment(core))
    result = deploy(controller, fleet.inventory(), application)
    assert result.rc == 0, result
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["1", "1"]


@pytest.mark.parametrize("python", matrix.PYTHONS)
def test_instance_python(python, make_controller, local_fleet, tmp_path):
    """The instance's Python runs all that an instance does: two revisions, hooks that fail and that succeed."""
    fleet = local_fleet(2, interpreter=str(interpreters()[python]))
    controller = make_controller(matrix.environment(matrix.instance_core(python)))
    for version in ("1", "2"):
        application = Application(
            tmp_path / version, version, ApplicationStop=":", AfterInstall=":", ValidateService=":"
        )
        result = deploy(controller, fleet.inventory(), application)
        assert result.rc == 0, result
        assert [installed_version(fleet.files(name)) for name in fleet.names] == [version, version]
    failing = Application(tmp_path / "3", "3", BeforeInstall="exit 1")
    assert deploy(controller, fleet.inventory(), failing).rc == 2
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["2", "2"]


def test_groups_of_the_inventory_plugin(core_controller, tmp_path):
    """Without boto3, which these environments do not have."""
    servers, groups = tmp_path / "servers.yml", tmp_path / "hollowweb.codedeploy.yml"
    servers.write_text("all: {hosts: {web1: {codedeploy_tags: {App: HollowWeb}}, db1: {}}}")
    groups.write_text(
        "{plugin: agentless.codedeploy.deployment_group, application_name: HollowWeb, deployment_groups: ["
        "{deployment_group_name: production, on_premises_instance_tag_filters: [{key: App, type: KEY_ONLY}]}]}"
    )
    result = core_controller.run("ansible-inventory", "-i", str(servers), "-i", str(groups), "--list")
    assert json.loads(result.stdout)["HollowWeb_production"]["hosts"] == ["web1"], result
