# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks and modules that show the record, after a deployment that failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import yaml
from support.applications import Application
from support.controller import Controller
from support.local_fleet import LocalFleet

PLAYBOOKS = ("status", "groups", "revisions", "log", "report", "audit")
CHECKS = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Register what is new, in check mode
      agentless.codedeploy.revision: {application_name: web, revision: "{{ folder }}", description: new}
      check_mode: true
      register: would
    - name: Register it
      agentless.codedeploy.revision: {application_name: web, revision: "{{ folder }}", description: new}
      register: did
    - name: Register it again
      agentless.codedeploy.revision: {application_name: web, revision: "{{ folder }}"}
      register: again
    - name: Read it
      agentless.codedeploy.revision_info: {application_name: web, deployed: exclude}
      check_mode: true
      register: revisions
    - name: Read those below a prefix of no bucket
      agentless.codedeploy.revision_info: {s3_key_prefix: web/}
      register: refused
      failed_when: "'BucketNameFilterRequired: s3_key_prefix' not in refused.msg"
    - name: Read those of a bucket
      agentless.codedeploy.revision_info: {s3_bucket: releases, s3_key_prefix: web/}
      register: in_bucket
    - name: Read the failed deployment
      agentless.codedeploy.deployment_info:
        deployment_group_name: web
        statuses: [Failed]
        create_time_range: {start: 2020-01-01}
        limit: 1
      register: failed
    - name: Everything is as it should be
      ansible.builtin.assert:
        that:
          - would.changed and did.changed and not again.changed
          - would.revision_location == did.revision_location
          - did.generic_revision_info.description == 'new'
          - "'new' in revisions.revisions | map(attribute='generic_revision_info.description')"
          - in_bucket.revisions == []
          - failed.deployments == [failed.deployments_info[0].deployment_id]
          - failed.deployment_groups_info[0].instances[0].health == 'Unhealthy'
"""


def test_the_record_is_shown_and_exported(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1", AfterInstall="echo something went wrong; exit 3")
    inventory = fleet.inventory()
    failed = controller.playbook(
        "agentless.codedeploy.deploy", inventory, deploy_group="web", deploy_revision=application.folder
    )
    assert failed.rc == 2, str(failed)
    (tmp_path / "checks.yml").write_text(CHECKS)
    other = Application(tmp_path / "other", "2").folder
    checked = controller.playbook(tmp_path / "checks.yml", inventory, folder=other)
    assert checked.rc == 0, str(checked)

    # All of them in one run of Ansible, as each start of it takes seconds.
    report = tmp_path / "report.json"
    plays = [{"ansible.builtin.import_playbook": f"agentless.codedeploy.{name}"} for name in PLAYBOOKS]
    (tmp_path / "all.yml").write_text(yaml.safe_dump(plays))
    deployment_id = next(word for word in failed.stdout.split() if word.startswith("d-") and len(word) == 11)
    shown = controller.playbook(
        tmp_path / "all.yml",
        inventory,
        deployment_id=deployment_id,
        instance="web1",
        log_from_instance=True,
        report_path=report,
    )
    assert shown.rc == 0, str(shown)
    for text in (
        f"Instance web1 of deployment {deployment_id}: Failed",
        "APPLICATION  GROUP  HEALTHY",
        "TARGET OF",
        "web1: AfterInstall Failed",
        "[stdout]something went wrong",
        "CreateDeployment",
        "HEALTH_CONSTRAINTS",
    ):
        assert text in shown.stdout, (text, str(shown))
    assert "LifecycleEvent - AfterInstall" in shown.stdout, str(shown)
    of_all = controller.run("ansible-playbook", "agentless.codedeploy.log", "-e", f"deployment_id={deployment_id}")
    assert of_all.rc == 0, str(of_all)
    assert "web1: AfterInstall Failed\n  error    ScriptFailed" in of_all.stdout
    assert "web1: Install Succeeded\nweb1: AfterInstall" in of_all.stdout

    exported = json.loads(report.read_text())
    assert exported["applicationsInfo"][0]["applicationName"] == "web"
    assert exported["deploymentGroupsInfo"][0]["lastAttemptedDeployment"]["deploymentId"] == deployment_id
    assert [one["deploymentId"] for one in exported["deploymentsInfo"]] == [deployment_id]
    (target,) = exported["deploymentTargets"]
    events = {event["lifecycleEventName"]: event for event in target["instanceTarget"]["lifecycleEvents"]}
    assert events["AfterInstall"]["diagnostics"]["errorCode"] == "ScriptFailed"
    assert len(exported["revisions"]) == 2
