# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the policies before anything is done or read, and note in the audit trail who was denied what."""

from __future__ import annotations

import contextlib
import os
import socket
import typing as t

from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._audit import audit
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import get_group
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import (
    Owner,
    current_owner,
    process_start,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._policy import Operation, check_permission
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._policy_file import (
    job_of_awx,
    principals,
    read_policies,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, StoreError

READS = ("BatchGet", "Get", "List")


def require(
    store: Store, action: str, application: str | None = None, group: str | None = None, **parameters: t.Any
) -> None:
    """Make sure that who runs this process may do an operation; call it before the operation changes or reads anything.

    What is denied is in the audit trail, also in check mode, and so is every read that is permitted. What is changed is
    audited by the change itself, in its transaction.

    :param action: one of ``_policy.ACTIONS``.
    :param application: None when it is not about a single one; so is the deployment group's name, ``group``.
    :param parameters: further ones for the audit trail, JSON-able and without secrets (``deployment_id``).
    :raises AccessDenied: a policy does not permit it.
    :raises InvalidPolicy: a policy cannot be read, so that nothing is permitted.
    """
    names = {"application_name": application, "deployment_group_name": group, **parameters}
    names = {name: value for name, value in names.items() if value is not None}
    deployment_id = parameters.get("deployment_id")
    try:
        check_permission(read_policies(), requesters(), Operation(action, application, group))
    except CodeDeployError as error:
        # Without a record that can be written the operation is denied all the same.
        with contextlib.suppress(StoreError):
            result = {"error_code": error.code, "error_message": error.message}
            audit(store, requester(), action, names, result, deployment_id)
        raise
    if action.startswith(READS):
        # Who may read the database and no more can read.
        with contextlib.suppress(StoreError):
            audit(store, requester(), action, names, {}, deployment_id)


def require_for(store: Store, action: str, deployment: Deployment) -> None:
    """Make sure that who runs this process may do an operation with a deployment; see require()."""
    require(
        store,
        action,
        deployment.application_name,
        deployment.deployment_group_name,
        deployment_id=deployment.deployment_id,
    )


def require_for_group(store: Store, action: str, application: str, group: str, group_id: str) -> None:
    """Make sure that who runs this process may do an operation with the deployment group of an id; see require().

    An id can be given with another name than the record has for it; both names must be permitted then.
    """
    require(store, action, application, group)
    recorded = get_group(store, group_id)
    if recorded and (recorded.application_name, recorded.deployment_group_name) != (application, group):
        require(store, action, recorded.application_name, recorded.deployment_group_name)


def require_unless_own(store: Store, action: str, deployment: Deployment) -> None:
    """The same, except for a deployment that this run of ansible-playbook was permitted to create before."""
    owner, run = deployment.owner, os.getppid()
    # With its start: a number alone is given to a later process too, which may be anybody's.
    if (owner.host, owner.pid, owner.pid_start) != (socket.gethostname(), run, process_start(run)):
        require_for(store, action, deployment)


def requester(run_id: str | None = None) -> Owner:
    """Describe who runs this process: the run of ansible-playbook, which an action's process is a child of.

    :param run_id: which part of the run; in AWX the number of the job is put in front.
    """
    job = job_of_awx(_extra_variables())
    identity = ", ".join(part for part in (f"AWX job {job}" if job else "", run_id or "") if part)
    return current_owner(pid=os.getppid(), user=", ".join(requesters()) or "unknown", run_id=identity or None)


def requesters() -> tuple[str, ...]:
    """The names that stand in policies for who runs this process.

    AWX gives a job its variables as extra variables, so that no inventory and no task can say something else.
    """
    return principals(_extra_variables())


def _extra_variables() -> dict[str, t.Any]:
    return dict(load_extra_vars(DataLoader()))
