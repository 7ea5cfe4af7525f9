# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: revision
short_description: Register a revision with an application
version_added: 0.1.0
description:
  - Checks a revision as a deployment does, and registers it with an application (RegisterApplicationRevision), so that
    it can be deployed later, by people who may deploy but not register.
  - A deployment registers its revision itself when it is not registered yet.
extends_documentation_fragment:
  - agentless.codedeploy._attributes
  - agentless.codedeploy._attributes.controller
  - agentless.codedeploy._attributes.store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  state:
    description: V(registered) registers the revision where it is.
    type: str
    choices: [registered]
    default: registered
  application_name:
    description: The application. It is created when there is none of this name.
    type: str
    required: true
  revision:
    description: >-
      A folder or an archive on the controller, or an address from which the instances can download it. A relative path
      is looked for in the working directory, then beside the playbook.
    type: str
    required: true
  revision_headers:
    description: HTTP headers for an address. Never shown and never recorded.
    type: dict
    default: {}
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
"""
