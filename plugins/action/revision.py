# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.revision).

A revision is found and checked as for a deployment (``_revision_check``) and then registered (``_registration``).
State C(pushed) makes it first: ``_push`` brings a folder to where instances or controllers get it from, and what is
registered is that location.
"""

from __future__ import annotations

import shlex
from datetime import datetime, timezone
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AWS_ARGUMENTS, AwsSettings, remember_keys
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import BundleError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._input_rules import check_description, check_name
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._push import Packed, Pushed, pack_source, push
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._registration import (
    get_revision,
    register_revision,
    would_register,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import revision_info
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import (
    Revision,
    RevisionError,
    find_path,
    s3_text_of,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_access import (
    SECRET_ARGUMENTS,
    RevisionAccess,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_check import checked_revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_text import (
    BUNDLE_TYPES,
    RevisionTextError,
    revision_text,
    s3_address,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import revision_folders, this_run
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store


class ActionModule(ControllerAction):
    """Registers a revision with an application, on the controller; pushes it before, if wanted."""

    ARGUMENTS = {
        "state": {"type": "str", "choices": ["registered", "pushed"], "default": "registered"},
        "application_name": {"type": "str", "required": True},
        "revision": {"type": "raw"},
        "revision_headers": {"type": "dict", "default": {}, "no_log": True},
        "source": {"type": "str"},
        "target": {"type": "str"},
        "ignore_hidden_files": {"type": "bool", "default": False},
        "bundle_type": {"type": "str", "choices": list(BUNDLE_TYPES)},
        "appspec_filename": {"type": "str"},
        "description": {"type": "str"},
        "github_api_url": {"type": "str"},
        "store": {"type": "str"},
        **SECRET_ARGUMENTS,
        **AWS_ARGUMENTS,
    }
    RULES = {
        "required_if": [("state", "registered", ["revision"]), ("state", "pushed", ["source", "target"])],
        "mutually_exclusive": [("revision", "source")],
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Register the revision, or say whether that would change anything."""
        store, application = open_store(arguments["store"]), arguments["application_name"]
        require(store, "RegisterApplicationRevision", application)
        check_name("Application", application)
        check_description(arguments["description"])
        remember_keys(arguments)
        folders = revision_folders(task_vars)
        try:
            if arguments["state"] == "pushed":
                return self._push(store, arguments, folders)
            access = RevisionAccess.of({**arguments, "aws": AwsSettings.from_arguments(arguments).public})
            headers = {str(key): str(value) for key, value in arguments["revision_headers"].items()}
            text, appspec_filename = revision_text(arguments["revision"]), arguments["appspec_filename"]
            revision, _appspec = checked_revision(text, folders, headers, appspec_filename, access)
        except (BundleError, RevisionError, RevisionTextError, OSError) as error:
            raise InvalidInput(str(error)) from error
        return self._register(store, arguments, revision, arguments["description"])

    def _register(
        self, store: Store, arguments: dict[str, Any], revision: Revision, description: str | None
    ) -> dict[str, Any]:
        application, record = arguments["application_name"], revision.as_record()
        registered = get_revision(store, application, record)
        changed = would_register(registered, record, description)
        if self._task.check_mode:
            return {"changed": changed, "application_name": application, "revision_location": record}
        if changed or registered is None:
            registered = register_revision(store, this_run(self), application, record, description)
        return {"changed": changed, **revision_info(registered)}

    def _push(self, store: Store, arguments: dict[str, Any], folders: list[str]) -> dict[str, Any]:
        application, target = arguments["application_name"], str(arguments["target"])
        address = s3_address(target)
        bundle_type = arguments["bundle_type"] or (address.bundle_type if address else _type_of_path(target)) or "zip"
        source = find_path(str(arguments["source"]), folders)
        packed = pack_source(source, bundle_type, arguments["appspec_filename"], arguments["ignore_hidden_files"])
        for warning in packed.warnings:
            self._display.warning(warning)
        options = AwsSettings.from_arguments(arguments).public if address else {}
        pushed = push(packed, target, application, options, self._task.check_mode)
        result = {"pushed": pushed.changed, "size": packed.bundle.size, "digest": packed.bundle.digest}
        if pushed.revision is None:
            self._display.display(f"check mode: would push {source} to {pushed.location} ({packed.bundle.size} bytes)")
            return {**result, "changed": True, "application_name": application}
        description = arguments["description"]
        if description is None and get_revision(store, application, pushed.revision.as_record()) is None:
            description = f"Pushed by agentless.codedeploy {datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S} UTC"
        result.update(self._register(store, arguments, pushed.revision, description))
        result["changed"] = result["changed"] or pushed.changed
        result["deploy_command"] = _deploy_command(application, pushed.revision)
        self._display.display(_told(packed, pushed, pushed.revision, str(result["deploy_command"])))
        return result


def _type_of_path(target: str) -> str:
    return "tgz" if target.endswith((".tar.gz", ".tgz")) else ""


def _deploy_command(application: str, revision: Revision) -> str:
    """Return what deploys the revision, in the place of C(aws deploy push)'s own."""
    text = s3_text_of(revision) if revision.s3 else revision.location
    return (
        "ansible-playbook -i <inventory> agentless.codedeploy.deploy -e deploy_group=<group> "
        f"-e deploy_application={shlex.quote(application)} -e deploy_revision={shlex.quote(text)}"
    )


def _told(packed: Packed, pushed: Pushed, revision: Revision, command: str) -> str:
    facts = [f"{packed.bundle.size} bytes", f"SHA-256 {revision.bundle.digest[:12]}"]
    if revision.s3 and revision.s3.version:
        facts.append(f"version {revision.s3.version}")
    if revision.s3:
        facts.append(f"ETag {revision.s3.e_tag}")
    begun = f"Pushed {packed.source} to" if pushed.changed else "The same content is there already, nothing was sent:"
    return f"{begun} {pushed.location} ({', '.join(facts)})\nTo deploy with this revision, run:\n{command}"
