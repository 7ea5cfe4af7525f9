# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prune playbook: what it says in check mode it removes, and asks the policy first."""

from __future__ import annotations

from support.controller import Controller, Result
from support.deployments import deploy, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import list_audit, list_deployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

ONLY_READS = """
statements:
- {effect: Allow, principal: "*", action: ["List*", "Get*"], application: "*", deployment_group: "*"}
"""


def test_what_is_said_is_removed(controller: Controller) -> None:
    store = open_store(str(controller.store))
    for number in (1, 2, 3, 4):
        deploy(store, request("ab", number=number))
    with store.transaction() as tx:
        tx.execute("UPDATE deployments SET complete_time = complete_time - %s", (400 * 86400,))
    oldest = [one.deployment_id for one in list_deployments(store)][2:]
    bundle = controller.home / ".cache" / "agentless.codedeploy" / "0123.tar.gz"
    bundle.parent.mkdir(parents=True)
    bundle.write_bytes(b"old")
    bundle.touch()

    def prune(*arguments: str, **environment: str) -> Result:
        variables = ["-e", "prune_older_than_days=365", "-e", "prune_keep_last=1", "-e", "deploy_group=production"]
        return controller.run("ansible-playbook", "agentless.codedeploy.prune", *variables, *arguments, **environment)

    policy = controller.home / "policy.yml"
    policy.write_text(ONLY_READS)
    policy.chmod(0o600)
    denied = prune(CODEDEPLOY_POLICY=str(policy))
    assert denied.rc == 2
    assert "AccessDenied" in denied.stdout and "PruneDeployments" in denied.stdout
    checked = prune("--check")
    assert checked.rc == 0, str(checked)
    assert "Would be removed: 2 deployments" in checked.stdout
    assert "changed=1" in checked.stdout
    assert len(list_deployments(store)) == 4
    done = prune()
    assert done.rc == 0, str(done)
    assert "Removed: 2 deployments" in done.stdout
    assert "HollowWeb    production  2        2" in done.stdout
    assert [one.deployment_id for one in list_deployments(store)][2:] == []
    entries = list_audit(store, event_names=["PruneDeployments"])
    assert [(entry.result.get("error_code"), entry.result.get("deployments")) for entry in entries] == [
        ("AccessDenied", None),
        (None, oldest),
    ]
    of_one = ["agentless.codedeploy.audit", "-e", f"deployment_id={oldest[0]}"]
    trail = controller.run("ansible-playbook", *of_one)
    assert "CreateDeployment" in trail.stdout, str(trail)
    # Young bundles stay, whatever the record says of them.
    assert bundle.exists()
    again = prune()
    assert "Removed: 0 deployments" in again.stdout and "changed=0" in again.stdout
    store.close()
