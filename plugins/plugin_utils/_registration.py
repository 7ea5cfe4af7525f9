# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Register revisions with an application, and look single ones up."""

from __future__ import annotations

import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._audit import append_audit
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import (
    ensure_application,
    ensure_revision,
    list_revisions,
    revision_identity,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._input_rules import check_description, check_name
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import JSONObject, Revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, run_again_if_undone


def get_revision(store: Store, application_name: str, revision: t.Mapping[str, t.Any]) -> Revision | None:
    """A registered revision (GetApplicationRevision); None when the application does not have it.

    :param revision: its record; it is the same one by what revision_identity() says.
    """
    identity = revision_identity(revision)
    for registered in list_revisions(store, application_name):
        if revision_identity(registered.revision) == identity:
            return registered
    return None


def would_register(registered: Revision | None, revision: t.Mapping[str, t.Any], description: str | None) -> bool:
    """Whether to register a revision would change the record.

    :param registered: what get_revision() says of it.
    """
    if registered is None or registered.revision != revision:
        return True
    return description is not None and description != registered.description


@run_again_if_undone
def register_revision(
    store: Store, owner: Owner, application_name: str, revision: JSONObject, description: str | None = None
) -> Revision:
    """Register a revision with an application (RegisterApplicationRevision), which is created when it is new.

    One that is registered already takes the newest location, where a rollback will look for it, and the description
    when there is one.

    :param owner: who asks.
    :param revision: its record, as DeploymentRequest has it, without secrets.
    :raises InvalidInput: a parameter breaks a rule of the API.
    """
    check_name("Application", application_name)
    check_description(description)
    with store.transaction() as tx:
        application_id = ensure_application(tx, application_name)
        revision_id = ensure_revision(tx, application_id, revision, description)
        if description is not None:
            tx.execute("UPDATE revisions SET description = %s WHERE revision_id = %s", (description, revision_id))
        parameters = {"application_name": application_name, "revision": revision, "description": description}
        append_audit(tx, owner, "RegisterApplicationRevision", parameters, {})
    registered = get_revision(store, application_name, revision)
    if registered is None:
        raise AssertionError("the revision is not there although it was just registered")
    return registered
