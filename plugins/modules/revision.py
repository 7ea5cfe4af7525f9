# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: revision
short_description: Register a revision with an application, push it before if wanted
version_added: 0.1.0
description:
  - Checks a revision as a deployment does, and registers it with an application (RegisterApplicationRevision), so that
    it can be deployed later, by people who may deploy but not register.
  - A deployment registers its revision itself when it is not registered yet.
  - With O(state=pushed) it does what C(aws deploy push) does. A folder is packed, checked and sent to S3, or to a
    folder of the controller, and registered. What is there already with the same content is not sent again.
extends_documentation_fragment:
  - agentless.codedeploy._attributes
  - agentless.codedeploy._attributes.controller
  - agentless.codedeploy._attributes.store
  - agentless.codedeploy._aws
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  state:
    description: V(registered) registers the revision where it is, V(pushed) packs and sends it before.
    type: str
    choices: [registered, pushed]
    default: registered
  application_name:
    description: The application. It is created when there is none of this name.
    type: str
    required: true
  revision:
    description:
      - What to register, as O(agentless.codedeploy.deployment#module:revision). A folder or an archive on the
        controller, an address from which the instances can download it, C(s3://bucket/key) or
        C(github:owner/repository@commit).
      - Required with O(state=registered).
    type: raw
  revision_headers:
    description: HTTP headers for an address. Never shown and never recorded.
    type: dict
    default: {}
  source:
    description:
      - Folder to pack, or an archive that is sent as it is. A relative path is looked for in the working directory,
        then beside the playbook. The AppSpec is at the root of a folder.
      - Links stay links; files keep their modes and times. What macOS and Windows leave behind (C(__MACOSX),
        C(.DS_Store) and the like) is refused.
      - Required with O(state=pushed).
    type: str
  target:
    description:
      - Where it is sent. C(s3://bucket/key), or the path of a file on the controller. With a slash at its end the name
        is made of the application's and the content's.
      - Required with O(state=pushed).
    type: str
  ignore_hidden_files:
    description: Leave out of O(source) what has a name with a dot at its beginning.
    type: bool
    default: false
  bundle_type:
    description:
      - With O(state=pushed) what a folder becomes, V(zip) or V(tgz). Default by the name of O(target), else V(zip).
      - With O(state=registered) the kind of the archive when its name does not tell.
    type: str
    choices: [zip, tar, tgz]
  github_token:
    description: As O(agentless.codedeploy.deployment#module:github_token).
    type: str
  github_api_url:
    description: As O(agentless.codedeploy.deployment#module:github_api_url).
    type: str
  appspec_filename:
    description: Path of the AppSpec file in the bundle. Without it C(appspec.yml), else C(appspec.yaml).
    type: str
  description:
    description: Comment, at most 256 characters. A revision that is registered already keeps its own without it.
    type: str
author:
  - agentless.codedeploy contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Register what was built
  agentless.codedeploy.revision:
    application_name: HollowWeb
    revision: ./build/hollowweb-2.tar.gz
    description: Build 2

- name: Push what was built
  agentless.codedeploy.revision:
    state: pushed
    application_name: HollowWeb
    source: ./build
    target: s3://hollowweb-bundles/hollowweb.zip
    ignore_hidden_files: true
  register: pushed
"""

RETURN = r"""
application_name:
  description: The application.
  returned: success
  type: str
  sample: HollowWeb
revision_location:
  description: Where the revision is, and the digest of its bundle.
  returned: success
  type: dict
  sample: {revision_type: Local, local_location: {path: /srv/build/hollowweb-2.tar.gz, bundle_type: tgz}}
generic_revision_info:
  description: Description, times of registration and use, and the groups whose target revision it is.
  returned: success, except in check mode
  type: dict
  sample: {register_time: 1730000000.0, deployment_groups: [production]}
pushed:
  description: Whether the bundle was sent, or would be in check mode.
  returned: when O(state=pushed)
  type: bool
size:
  description: Bytes of the bundle.
  returned: when O(state=pushed)
  type: int
  sample: 73412
digest:
  description: SHA-256 of the bundle that was made of O(source), in hexadecimal digits.
  returned: when O(state=pushed)
  type: str
deploy_command:
  description: What to type to deploy the revision.
  returned: when O(state=pushed), except in check mode when there is something to send
  type: str
"""
