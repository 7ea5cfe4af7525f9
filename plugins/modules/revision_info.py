# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: revision_info
short_description: Read registered revisions from the record
version_added: 0.1.0
description:
  - Returns the revisions that were registered, as ListApplicationRevisions and BatchGetApplicationRevisions do.
extends_documentation_fragment:
  - agentless.codedeploy._attributes
  - agentless.codedeploy._attributes.controller
  - agentless.codedeploy._attributes.reading
  - agentless.codedeploy._attributes.report
  - agentless.codedeploy._attributes.store
options:
  application_name:
    description: Only revisions of this application.
    type: str
  sort_by:
    description: By which time they are sorted.
    type: str
    choices: [register_time, first_used_time, last_used_time]
    default: register_time
  sort_order:
    description: Oldest or newest first.
    type: str
    choices: [ascending, descending]
    default: descending
  deployed:
    description:
      - Only revisions that are the target revision of some group (V(include)), only others (V(exclude)), or all.
    type: str
    choices: [include, exclude, ignore]
    default: ignore
  s3_bucket:
    description: Only revisions in this S3 bucket.
    type: str
  s3_key_prefix:
    description: Only revisions whose S3 key begins with this. Needs O(s3_bucket).
    type: str
author:
  - agentless.codedeploy contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Read what is deployed of an application
  agentless.codedeploy.revision_info:
    application_name: HollowWeb
    deployed: include

- name: Read what was pushed to one place
  agentless.codedeploy.revision_info:
    application_name: HollowWeb
    s3_bucket: my-revisions
    s3_key_prefix: hollowweb/main/
    sort_by: last_used_time
"""

RETURN = r"""
revisions:
  description: The revisions.
  returned: success
  type: list
  elements: dict
  contains:
    application_name:
      description: The application.
      type: str
      sample: HollowWeb
    revision_location:
      description: Where the revision is, and the digest of its bundle.
      type: dict
      sample: {revision_type: Local, local_location: {path: /srv/build/hollowweb.zip, bundle_type: zip}}
    generic_revision_info:
      description: Description, times of registration and use, and the groups whose target revision it is.
      type: dict
      sample: {register_time: 1730000000.0, deployment_groups: [production]}
"""
