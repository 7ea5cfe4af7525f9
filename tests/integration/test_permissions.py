# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy is asked by the playbooks themselves, before they do or show anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml
from support.applications import Application, installed_version
from support.controller import Controller
from support.local_fleet import LocalFleet
from support.record import deployments

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import list_audit
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

DEPLOY = "agentless.codedeploy.deploy"


def write_policy(path: Path, *denied: str) -> None:
    keys = dict.fromkeys(("principal", "action", "application", "deployment_group"), "*")
    statements = [{"effect": "Allow", **keys}, *({"effect": "Deny", **keys, "action": action} for action in denied)]
    path.write_text(yaml.safe_dump({"statements": statements}))


def test_what_is_denied_neither_happens_nor_is_shown(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    fleet, policy = local_fleet(1), tmp_path / "policy.yml"
    application = Application(tmp_path / "application", "1").folder
    controller.environment["CODEDEPLOY_POLICY"] = str(policy)
    variables = {"deploy_group": "web", "deploy_revision": application}

    for denied, arguments in (
        ("CreateDeployment", ["--check"]),
        ("RegisterApplicationRevision", []),
    ):
        write_policy(policy, denied)
        refused = controller.playbook(DEPLOY, fleet.inventory(), *arguments, **variables)
        assert refused.rc != 0
        assert f"may not do {denied} on application web" in " ".join(refused.stdout.split()), str(refused)
    assert not fleet.deployment_root("web1").exists()

    write_policy(policy, "StopDeployment")
    assert controller.playbook(DEPLOY, fleet.inventory(), **variables).rc == 0
    assert installed_version(fleet.files("web1")) == "1"
    (deployment,) = deployments(controller)

    refused = controller.playbook(
        "agentless.codedeploy.stop", fleet.inventory(), deployment_id=deployment["deploymentId"]
    )
    assert "may not do StopDeployment" in " ".join(refused.stdout.split()), str(refused)
    write_policy(policy, "GetDeployment")
    late = controller.playbook("agentless.codedeploy.stop", fleet.inventory(), deployment_id=deployment["deploymentId"])
    assert "DeploymentAlreadyCompleted" in late.stdout, str(late)
    missing = {**variables, "deploy_revision": "/does/not/exist"}
    assert controller.playbook(DEPLOY, fleet.inventory(), **missing).rc != 0
    hidden = controller.run(
        "ansible-playbook", "agentless.codedeploy.status", "-e", f"deployment_id={deployment['deploymentId']}"
    )
    assert hidden.rc != 0
    assert "AccessDenied" in hidden.stdout
    entries = list_audit(open_store(str(controller.store)))
    failed = [(entry.event_name, entry.result["error_code"]) for entry in entries if entry.result.get("error_code")]
    assert failed == [
        ("CreateDeployment", "AccessDenied"),
        ("RegisterApplicationRevision", "AccessDenied"),
        ("StopDeployment", "AccessDenied"),
        ("StopDeployment", "DeploymentAlreadyCompleted"),
        ("CreateDeployment", "PreflightFailed"),
        ("GetDeployment", "AccessDenied"),
    ]
