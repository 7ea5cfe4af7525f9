# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options and attributes that several modules of the collection share."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by what runs on the controller."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and predict the result without changing anything.
  diff_mode:
    description: Returns what it changed, or would change, in diff mode.
  platform:
    description: Where it can be used.
    support: full
    platforms: posix
"""

    CONTROLLER = r"""
options: {}
attributes:
  action:
    description: Runs in Ansible's own Python on the controller and needs nothing on the instances for itself.
    support: full
  async:
    description: Can be used with C(async).
    support: none
  become:
    description: Is affected by C(become).
    support: none
"""

    STORE = r"""
options:
  store:
    description:
      - Where the record of deployments is kept. Path of an SQLite file, or C(postgresql://user@host/database) without
        a password, which comes from the environment variable E(PGPASSWORD) or from C(~/.pgpass).
      - Without it the environment variable E(CODEDEPLOY_STORE) of the controller is used, else
        C(agentless.codedeploy/deployments.sqlite) in C($XDG_STATE_HOME) (C(~/.local/state)). A job in an execution
        environment has no such default.
    type: str
"""

    REPORT = r"""
options:
  report:
    description: Also write the answer for people, V(text), or in the API's own JSON shapes, V(json).
    type: str
    choices: [none, text, json]
    default: none
  report_path:
    description: File on the controller to write the report to instead of the screen.
    type: path
"""

    READING = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details:
      - Changes nothing.
"""

    CREATED = r"""
options:
  create_time_range:
    description: Only deployments that were created in this time.
    type: dict
    suboptions:
      start:
        description: Beginning, as ISO 8601 or in seconds of the epoch.
        type: str
      end:
        description: End.
        type: str
"""
