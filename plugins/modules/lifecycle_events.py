#!/usr/bin/python
# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: lifecycle_events
short_description: Run lifecycle events of a deployment on an instance
version_added: 0.1.0
description:
  - Runs CodeDeploy's lifecycle events on the host itself, in the given order, up to the first one that fails. Files and
    folders are laid out below O(root) as the CodeDeploy agent does, so a host can move from the agent to this module
    and back.
  - C(ApplicationStop), C(BeforeBlockTraffic) and C(AfterBlockTraffic) run the scripts of the last successfully
    installed revision, all other events those of the new one. An event without scripts succeeds without doing anything.
  - The events run in a process and session of their own, so they go on when the connection is lost. The module answers
    when they have ended or when O(wait) seconds have passed, whichever comes first; RV(events_log) tells the rest.
  - Between two events it looks for the file C(stop) in the deployment's folder below O(root). When it is there, no
    further event is started and RV(status) is V(Stopped); a script that runs is not killed.
  - A failed event is a normal answer with RV(status) V(Failed). The module itself fails only when nothing was run
    because another deployment of the group, or the CodeDeploy agent, is at work on the host, or because of its options.
notes:
  - Runs on the instance. It needs Python 3.6 or newer there and nothing else; C(setfacl) for C(acls) of an AppSpec,
    C(su) for C(runas), C(sudo) for C(sudo).
  - Without root everything works that does not need it; foreign owners and C(runas) do.
author:
  - agentless.codedeploy contributors (!UNKNOWN)
extends_documentation_fragment:
  - agentless.codedeploy._attributes
attributes:
  check_mode:
    support: full
    details:
      - RV(plan) tells what C(Install) would do and which hooks would run. Nothing is touched outside of Ansible's
        temporary folder for the task, where the bundle is unpacked.
      - What hooks would do is not known. Without C(DownloadBundle) in O(events), O(bundle) stands for what an earlier
        task would have downloaded.
  diff_mode:
    support: partial
    details:
      - In check mode, for the files that C(Install) would add, replace or remove. Binary files, big files and files
        that other users cannot read are named only; see O(max_diff_size) and O(diff_private_files).
  platform:
    support: full
    platforms: linux
options:
  deployment_id:
    description: Identifier of the deployment, such as V(d-ABCDEFGHI). Of an ARN the part after C(deployment/) is used.
    type: str
    required: true
  deployment_group_id:
    description: Identifier of the deployment group; the name of its folder below O(root).
    type: str
    required: true
  deployment_group_name:
    description: Name of the deployment group, given to the scripts as E(DEPLOYMENT_GROUP_NAME).
    type: str
    default: ''
  application_name:
    description: Name of the application, given to the scripts as E(APPLICATION_NAME).
    type: str
    default: ''
  deployment_mode:
    description:
      - With V(RESTART) all events take their scripts from the revision that is installed. O(events) has neither
        DownloadBundle nor C(Install) then.
    type: str
    choices: [STANDARD, RESTART]
    default: STANDARD
  deployment_creator:
    description: What created the deployment, in CodeDeploy's words; V(codeDeployRollback) for an automatic rollback.
    type: str
    default: user
  deployment_type:
    description:
      - With V(BLUE_GREEN) and O(deployment_creator=codeDeployRollback) the events around traffic take their scripts
        from the revision before, as the CodeDeploy agent does.
    type: str
    choices: [IN_PLACE, BLUE_GREEN]
    default: IN_PLACE
  revision:
    description:
      - The revision in the shape of CodeDeploy's RevisionLocation, in snake case. Only gives the scripts their
        E(BUNDLE_BUCKET), E(BUNDLE_KEY), E(BUNDLE_VERSION), E(BUNDLE_ETAG) or E(BUNDLE_COMMIT).
    type: dict
    default: {}
  source:
    description:
      - The revision to download, as C(deploy_revision) of the role P(agentless.codedeploy.deploy#role). A folder or an
        archive on the controller, an C(https://) address, an object in S3, or a commit in GitHub.
      - It is read and checked on the controller, which then gives O(revision), O(bundle) and O(appspec).
    type: raw
  source_headers:
    description: HTTP headers to send with an address in O(source). Never shown.
    type: dict
    default: {}
  source_options:
    description:
      - How O(source) is reached, with the names that M(agentless.codedeploy.deployment) has for it. C(download),
        C(bundle_type), C(github_token), C(github_api_url), and C(region), C(profile) and the others of AWS. Never
        shown.
    type: dict
    default: {}
  bundle:
    description:
      - Where the bundle comes from on the instance. This or O(source) is required when O(events) has C(DownloadBundle).
    type: dict
    suboptions:
      type:
        description: Kind of bundle. V(tar) may be compressed in any way that Python reads; V(tgz) must be.
        type: str
        choices: [directory, tar, tgz, zip]
        required: true
      path:
        description: Path of the bundle on the instance.
        type: path
      url:
        description: Address to download the bundle from, when it is not at O(bundle.path). It may carry a signature.
        type: str
      headers:
        description: HTTP headers for that address. They are not sent to another one it may redirect to.
        type: dict
        default: {}
      checksum:
        description: What the bundle must be, as C(sha256:) and 64 hexadecimal digits.
        type: str
      digest:
        description:
          - SHA-256 of the bundle in hexadecimal digits. A bundle with it in C(bundle-cache) below O(root) is used
            instead of O(bundle.path) and O(bundle.url), and what comes from these is kept there.
        type: str
      cache_key:
        description: Name in C(bundle-cache), 64 hexadecimal digits, for a bundle whose O(bundle.digest) is not known.
        type: str
      s3_location:
        description:
          - Object in S3 that is downloaded with the instance's own credentials, with C(bucket), C(key), C(version),
            C(region) and C(endpoint_url). Needs boto3 in the Python that Ansible uses there.
        type: dict
      size:
        description: Bytes that must arrive from O(bundle.url) or O(bundle.s3_location).
        type: int
      e_tag:
        description: ETag that S3 must have for the object, without quotes.
        type: str
      part_size:
        description:
          - Bytes of the parts in which the object was sent to S3, V(0) when it was sent as a whole. With it, and
            without O(bundle.digest), the content is compared with O(bundle.e_tag).
        type: int
      remove_source:
        description: Remove what is at O(bundle.path), which was copied there for this call alone.
        type: bool
        default: false
  appspec:
    description:
      - The parsed AppSpec of the revision, or a dictionary whose C(errors) tell why there is none; these fail the first
        event that needs it.
      - By default what an earlier call for the same deployment was given.
    type: dict
  previous_appspec:
    description: The same for the last successfully installed revision; only needed after RV(previous_appspec_required).
    type: dict
  appspec_filename:
    description: Name of the AppSpec file in the revision, when it is neither V(appspec.yml) nor V(appspec.yaml).
    type: str
  events:
    description: Lifecycle events to run, in order. CodeDeploy's own order is not enforced.
    type: list
    elements: str
    required: true
  custom_events:
    description: Names of events of your own that O(events) may have; their scripts come from the new revision.
    type: list
    elements: str
    default: []
  all_possible_lifecycle_events:
    description:
      - All events that the deployment could have. When given, C(Install) refuses an AppSpec with hooks for any other
        event, and events of your own without hooks.
    type: list
    elements: str
  file_exists_behavior:
    description:
      - What C(Install) does about a file that is in the way and that the last deployment did not install, V(DISALLOW),
        V(OVERWRITE) or V(RETAIN). A C(file_exists_behavior) in the AppSpec takes precedence.
    type: str
    default: DISALLOW
  application_stop_script:
    description:
      - Path of a script in the bundle of this revision that is run in place of those of ApplicationStop. DownloadBundle
        has to come before ApplicationStop in O(events) then, so that the script is there.
    type: str
  ignore_application_stop_failures:
    description: Carry on after a failed C(ApplicationStop), C(BeforeBlockTraffic) or C(AfterBlockTraffic).
    type: bool
    default: false
  restore_on_failure:
    description:
      - When an event after C(Install) fails, put back the revision that was installed before it, and run that
        revision's C(ApplicationStart) and C(ValidateService). The deployment has failed all the same; RV(restored)
        tells what came of it.
      - Its files are installed from its C(deployment-archive), so what has been changed in them since they were
        installed is not kept. Its scripts get the variables it was deployed with.
      - Give it to every call for the deployment, so that C(Install) notes what it replaces. Needs nothing else.
    type: bool
    default: false
  root:
    description: Deployment root, the folder that holds revisions and logs.
    type: path
    default: /opt/codedeploy-agent/deployment-root
  destination_root:
    description:
      - Folder in which all destinations of the AppSpec lie, as if it were V(/). Scripts get it as E(DESTINATION_ROOT)
        when it is another one.
    type: path
    default: /
  archive_limits:
    description:
      - How big an archive may get when it is unpacked. One that is bigger is refused as a whole, before anything of it
        is in place. V(0) stands for no limit.
    type: dict
    suboptions:
      size:
        description: Bytes of all its files together; by default 50 GiB.
        type: int
        default: 53687091200
      members:
        description: How many files, links and folders it may hold.
        type: int
        default: 1000000
      ratio:
        description: How many times as big as the archive its files may be together. The first 100 MiB are always right.
        type: int
        default: 1000
  reject_setuid:
    description:
      - Refuse a bundle with a file that has a setuid or setgid bit, and an AppSpec whose C(permissions) give files one.
        By default they are installed, as the CodeDeploy agent does.
    type: bool
    default: false
  ignore_ownership:
    description:
      - Give the files of a tar archive the owner of a new file. By default they get the owner that the archive names,
        as with the CodeDeploy agent. The owners in C(permissions) of the AppSpec are set either way.
    type: bool
    default: false
  revisions_to_keep:
    description: How many revisions of the group to keep, the new one included. The last successful one always stays.
    type: int
    default: 5
  wait:
    description: Seconds to wait for the events before the module answers.
    type: float
    default: 10
  max_diff_size:
    description:
      - Bytes that a file may have for its content to be shown with C(--diff). All files together may have ten times as
        many.
      - By default Ansible's own setting of this name.
    type: int
    default: 104448
  diff_private_files:
    description:
      - With C(--diff) show the content of files, too, that other users of the instance cannot read because of their
        mode or that of a folder they are in. It may be a secret, and it is in the output and the logs of Ansible then.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Deploy an archive that is on the instance
  agentless.codedeploy.lifecycle_events:
    deployment_id: d-ABCDEFGHI
    deployment_group_id: hollowweb-production
    deployment_group_name: production
    application_name: HollowWeb
    bundle:
      type: tgz
      path: /srv/bundles/hollowweb.tar.gz
    appspec: "{{ lookup('ansible.builtin.file', 'hollowweb/appspec.yml') | agentless.codedeploy.appspec }}"
    events: [ApplicationStop, DownloadBundle, BeforeInstall, Install, AfterInstall, ApplicationStart, ValidateService]
  register: deployed
  failed_when: deployed.status != 'Succeeded'

- name: Run one event of a deployment again
  agentless.codedeploy.lifecycle_events:
    deployment_id: d-ABCDEFGHI
    deployment_group_id: hollowweb-production
    events: [ValidateService]
"""

RETURN = r"""
status:
  description: V(Succeeded), V(Failed), V(Stopped), or V(InProgress) when O(wait) has passed; V(Pending) in check mode.
  returned: always
  type: str
  sample: Succeeded
failed_event:
  description: The event that ended the call.
  returned: always
  type: str
  sample: ApplicationStart
events:
  description: Every requested event, in order.
  returned: always
  type: list
  elements: dict
  contains:
    lifecycle_event_name:
      description: Name of the event.
      type: str
      returned: always
      sample: ApplicationStart
    status:
      description: V(Pending), V(InProgress), V(Succeeded), V(Failed) or V(Skipped).
      type: str
      returned: always
      sample: Failed
    start_time:
      description: When it began, in seconds since the epoch.
      type: float
      returned: always
      sample: 1789000000.25
    end_time:
      description: When it ended, in seconds since the epoch.
      type: float
      returned: always
      sample: 1789000001.5
    noop:
      description: Whether there was nothing to do for it.
      type: bool
      returned: always
      sample: false
    diagnostics:
      description: How it ended.
      type: dict
      returned: always
      sample:
        error_code: ScriptFailed
        script_name: scripts/start.sh
        message: 'Script at specified location: scripts/start.sh failed with exit code 1'
        log_tail: |
          LifecycleEvent - ApplicationStart
          Script - scripts/start.sh
          [stderr]cannot bind to port 80
      contains:
        error_code:
          description: >-
            V(Success), V(ScriptMissing), V(ScriptNotExecutable), V(ScriptTimedOut), V(ScriptFailed) or V(UnknownError).
          type: str
          returned: always
        script_name:
          description: Location of the script as in the AppSpec; empty when no script is concerned.
          type: str
          returned: always
        message:
          description: What happened.
          type: str
          returned: always
        log_tail:
          description: The last lines of the event's log, at most 4096 bytes; empty unless a script failed.
          type: str
          returned: always
restored:
  description: What came of putting the revision back that was installed before.
  returned: when O(restore_on_failure) and an event after C(Install) has failed
  type: dict
  sample:
    deployment_id: d-OLDOLDOLD
    status: Succeeded
    message: the files of deployment d-OLDOLDOLD were put back
    events:
      - lifecycle_event_name: Install
        status: Succeeded
        start_time: 1789000002.0
        end_time: 1789000002.5
        diagnostics: {error_code: Success, script_name: '', message: 'Succeeded: ', log_tail: ''}
  contains:
    deployment_id:
      description: Deployment whose revision was put back; null when there is none.
      type: str
      returned: always
    status:
      description: >-
        V(Succeeded); V(Failed) when one of its events failed; V(Skipped) when there was nothing to put back, and
        nothing was done.
      type: str
      returned: always
    message:
      description: What was done, or why nothing was.
      type: str
      returned: always
    events:
      description: >-
        C(Install), C(ApplicationStart) and C(ValidateService) of that revision, in the form of RV(events); one that was
        not reached is V(Skipped).
      type: list
      elements: dict
      returned: always
events_log:
  description: Log of the deployment's events on the instance, one JSON object a line; C(finished) ends each call.
  returned: when events were started
  type: str
  sample: /opt/codedeploy-agent/deployment-root/hollowweb-production/d-ABCDEFGHI/events.jsonl
events_log_offset:
  description: Byte of RV(events_log) where this call's lines begin.
  returned: when events were started
  type: int
  sample: 0
process:
  description: The process that runs the events; C(start_time) is in clock ticks since boot, as in C(/proc/PID/stat).
  returned: when events were started
  type: dict
  sample: {pid: 4242, start_time: 8913377}
previous_appspec_required:
  description:
    - The AppSpec file of the last successfully installed revision, which the CodeDeploy agent left there without a
      parsed copy. Nothing was run; call again with O(previous_appspec).
  returned: when it is needed
  type: dict
  sample:
    path: /opt/codedeploy-agent/deployment-root/0f9a/d-OLDOLDOLD/deployment-archive/appspec.yml
    content: dmVyc2lvbjogMC4wCm9zOiBsaW51eAo=
plan:
  description: What would happen.
  returned: in check mode
  type: dict
  contains:
    hooks:
      description:
        - The hooks that would run, in order, up to the first event that would fail. C(deployment_id) is the deployment
          whose revision they come from; null is the revision that would be deployed.
      type: list
      elements: dict
      returned: always
      sample:
        - {lifecycle_event_name: ApplicationStop, location: scripts/stop.sh, timeout: 60, runas: null,
           deployment_id: d-OLDOLDOLD}
        - {lifecycle_event_name: AfterInstall, location: scripts/configure.sh, timeout: 60, runas: null,
           deployment_id: null}
    files:
      description:
        - What C(Install) would make of each path; null when it is not among O(events) or the revision is not known.
        - C(added), C(kept), C(removed) and C(conflicting) are lists of paths, C(folders_added) and C(folders_removed)
          as well. C(replaced) and C(folders_changed) are lists of C(path) and C(reasons).
        - Reasons are V(type) (was a symbolic link, say), V(content), V(mode), V(owner), V(acl), and V(times) when the
          file is the same but was touched since it was installed, or was installed by the CodeDeploy agent.
      type: dict
      returned: always
      sample:
        added: [/var/www/new.html]
        replaced: [{path: /var/www/index.html, reasons: [content, mode]}]
        kept: [/var/www/logo.png]
        removed: [/var/www/old.html]
        conflicting: []
        folders_added: []
        folders_changed: []
        folders_removed: []
    problems:
      description: What would make the events fail. Then the task fails, too.
      type: list
      elements: str
      returned: always
      sample: []
    warnings:
      description: What else is worth knowing.
      type: list
      elements: str
      returned: always
      sample: []
"""

from ansible_collections.agentless.codedeploy.plugins.module_utils._import_once import import_once

# Before all other imports, so that these gain by it.
import_once()

import gc
import os
from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_process import run_detached
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import BusyError, StateError, refusal

BUNDLE_OPTIONS = {
    "type": {"type": "str", "required": True, "choices": ["directory", "tar", "tgz", "zip"]},
    "path": {"type": "path"},
    "url": {"type": "str", "no_log": True},
    "headers": {"type": "dict", "default": {}, "no_log": True},
    "checksum": {"type": "str"},
    "digest": {"type": "str"},
    "cache_key": {"type": "str", "no_log": False},
    "s3_location": {"type": "dict"},
    "size": {"type": "int"},
    "e_tag": {"type": "str"},
    "part_size": {"type": "int"},
    "remove_source": {"type": "bool", "default": False},
}

ARCHIVE_LIMITS = {
    "size": {"type": "int", "default": 53687091200},
    "members": {"type": "int", "default": 1000000},
    "ratio": {"type": "int", "default": 1000},
}

ARGUMENT_SPEC = {
    # These three are used up on the controller, by the action plugin of the same name.
    "source": {"type": "raw"},
    "source_headers": {"type": "dict", "default": {}, "no_log": True},
    "source_options": {"type": "dict", "default": {}, "no_log": True},
    "deployment_id": {"type": "str", "required": True},
    "deployment_group_id": {"type": "str", "required": True},
    "deployment_group_name": {"type": "str", "default": ""},
    "application_name": {"type": "str", "default": ""},
    "deployment_mode": {"type": "str", "choices": ["STANDARD", "RESTART"], "default": "STANDARD"},
    "deployment_creator": {"type": "str", "default": "user"},
    "deployment_type": {"type": "str", "choices": ["IN_PLACE", "BLUE_GREEN"], "default": "IN_PLACE"},
    "revision": {"type": "dict", "default": {}},
    "bundle": {
        "type": "dict",
        "options": BUNDLE_OPTIONS,
        "required_one_of": [["path", "url", "digest", "s3_location"]],
    },
    "appspec": {"type": "dict"},
    "previous_appspec": {"type": "dict"},
    "appspec_filename": {"type": "str"},
    "events": {"type": "list", "elements": "str", "required": True},
    "custom_events": {"type": "list", "elements": "str", "default": []},
    "all_possible_lifecycle_events": {"type": "list", "elements": "str"},
    "file_exists_behavior": {"type": "str", "default": "DISALLOW"},
    "application_stop_script": {"type": "str"},
    "ignore_application_stop_failures": {"type": "bool", "default": False},
    "restore_on_failure": {"type": "bool", "default": False},
    "root": {"type": "path", "default": "/opt/codedeploy-agent/deployment-root"},
    "destination_root": {"type": "path", "default": "/"},
    "archive_limits": {"type": "dict", "options": ARCHIVE_LIMITS, "apply_defaults": True},
    "reject_setuid": {"type": "bool", "default": False},
    "ignore_ownership": {"type": "bool", "default": False},
    "revisions_to_keep": {"type": "int", "default": 5},
    "wait": {"type": "float", "default": 10},
    "max_diff_size": {"type": "int", "default": 104448},
    "diff_private_files": {"type": "bool", "default": False},
}


def planned(module: AnsibleModule, lifecycle: Lifecycle) -> Dict[str, Any]:
    """Return the result of check mode; what it needs of the file system is in the task's temporary folder."""
    from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_plan import (
        plan_events,
        temporary_folder,
    )

    diff = {"limit": module.params["max_diff_size"], "private": module.params["diff_private_files"]}
    with temporary_folder(module.tmpdir) as folder:
        return plan_events(lifecycle, folder, diff if module._diff else None)


def main() -> None:
    # What has been imported stays: searching it for garbage, again at the end, would be a twelfth of the module's CPU.
    if hasattr(gc, "freeze"):  # not in Python 3.6
        gc.freeze()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    for name in ("root", "destination_root"):
        if not os.path.isabs(options[name]):
            module.fail_json(msg=f"{name} must be an absolute path, {options[name]!r} is not")
    if options["revisions_to_keep"] < 1:
        module.fail_json(msg="revisions_to_keep must be at least 1")
    if "DownloadBundle" in options["events"] and not options["bundle"]:
        module.fail_json(msg="the event DownloadBundle needs the option bundle")
    # What a service has: relative destinations start here, and no folder of the connection's user stays in use.
    os.chdir("/")
    try:
        lifecycle = Lifecycle(options)
        if module.check_mode:
            module.exit_json(**planned(module, lifecycle))
        result = run_detached(lifecycle, options["wait"])
    except (StateError, OSError) as error:
        # For who can wait: a deployment of the record.
        busy = {"running_deployment_id": error.deployment} if isinstance(error, BusyError) else {}
        module.fail_json(msg=f"The lifecycle events could not be run: {refusal(error)}", **busy)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
