# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program behind ``engine``: plays the controller for one deployment and runs the module's own code for it."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import collection_loader  # noqa: E402  # found through the path set above

collection_loader.register_collection()

from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec import (  # noqa: E402  # needs the collection
    AppSpecError,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import Lifecycle  # noqa: E402  # same
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_process import (  # noqa: E402  # same
    run_detached,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import StateError  # noqa: E402  # same
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._appspec_file import (  # noqa: E402  # same
    parse_appspec_file,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import (  # noqa: E402  # same
    BundleError,
    read_contents,
)

DEFAULT_EVENTS = [
    "ApplicationStop",
    "DownloadBundle",
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
]
ERROR_CODES = {
    "Success": 0,
    "ScriptMissing": 1,
    "ScriptNotExecutable": 2,
    "ScriptTimedOut": 3,
    "ScriptFailed": 4,
    "UnknownError": 5,
}
LONGEST_SECONDS = 24 * 3600


def parsed(data: bytes) -> dict[str, Any]:
    """Return an AppSpec as the controller sends it: the spec, or its errors."""
    try:
        return parse_appspec_file(data)
    except AppSpecError as error:
        return {"errors": [str(problem) for problem in error.errors]}


def appspec(path: str, filename: str | None) -> dict[str, Any]:
    """Return the AppSpec of a bundle, or why there is none."""
    try:
        contents = read_contents(path, filename)
    except BundleError as error:
        return {"errors": [str(error)]}
    if contents.appspec_filename is None:
        return {"errors": [f"the revision has no AppSpec file {filename or 'appspec.yml'} in its top folder"]}
    return parsed(contents.appspec_data)


def revision(recorded: dict[str, Any]) -> dict[str, Any]:
    """Return a deployment request's revision in the module's shape."""
    s3, github = recorded.get("S3Revision") or {}, recorded.get("GitHubRevision") or {}
    if s3:
        location = {
            "bucket": s3.get("Bucket"),
            "key": s3.get("Key"),
            "version": s3.get("Version"),
            "e_tag": s3.get("ETag"),
        }
        return {"revision_type": "S3", "s3_location": location}
    if github:
        repository = f"{github.get('Account')}/{github.get('Repository')}"
        return {
            "revision_type": "GitHub",
            "git_hub_location": {"repository": repository, "commit_id": github.get("CommitId")},
        }
    return {"revision_type": "Local"}


def parameters(request: dict[str, Any]) -> dict[str, Any]:
    """Return the module's parameters for a deployment request."""
    deployment, bundle = request["deployment"], request["deployment"]["bundle"]
    return {
        "deployment_id": deployment["id"],
        "deployment_group_id": deployment["group_id"],
        "deployment_group_name": deployment.get("group_name"),
        "application_name": deployment.get("application"),
        "deployment_creator": deployment.get("creator") or "user",
        "deployment_type": deployment.get("type") or "IN_PLACE",
        "revision": revision(deployment.get("revision") or {}),
        "bundle": {"path": bundle["path"], "type": bundle["type"]},
        "appspec": appspec(bundle["path"], deployment.get("appspec_filename")),
        "appspec_filename": deployment.get("appspec_filename"),
        "events": deployment.get("events") or DEFAULT_EVENTS,
        "custom_events": deployment.get("extra_events") or [],
        "all_possible_lifecycle_events": deployment.get("all_possible_lifecycle_events"),
        "file_exists_behavior": deployment.get("file_exists_behavior") or "DISALLOW",
        "ignore_application_stop_failures": bool(deployment.get("ignore_application_stop_failures")),
        "root": request["root_dir"],
        "revisions_to_keep": (request.get("config") or {}).get("max_revisions") or 5,
    }


def answer(result: dict[str, Any]) -> dict[str, Any]:
    """Return a module's result in the form of the recorded ones."""
    events = [
        {
            "event": event["lifecycle_event_name"],
            "status": event["status"],
            "noop": event["noop"],
            "diagnostics": {
                "error_code": ERROR_CODES[event["diagnostics"]["error_code"]],
                "script_name": event["diagnostics"]["script_name"],
                "message": event["diagnostics"]["message"],
                "log": event["diagnostics"]["log_tail"],
            },
        }
        for event in result["events"]
        if event["status"] in ("Succeeded", "Failed")
    ]
    return {"status": result["status"], "failed_event": result["failed_event"], "events": events}


def deploy(request: dict[str, Any]) -> dict[str, Any]:
    """Run a deployment request as the controller and the module do it together."""
    options = parameters(request)
    try:
        result = run_detached(Lifecycle(options), LONGEST_SECONDS)
        required = result.get("previous_appspec_required")
        if required:
            options["previous_appspec"] = parsed(base64.b64decode(required["content"]))
            result = run_detached(Lifecycle(options), LONGEST_SECONDS)
    except StateError as error:
        return {"status": "Failed", "failed_event": None, "events": [], "error": str(error)}
    return answer(result)


def main() -> None:
    """Answer the request on standard input."""
    json.dump(deploy(json.loads(sys.stdin.buffer.read().decode("utf-8"))), sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
