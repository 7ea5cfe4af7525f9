# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all actions of this collection have in common: they work on the controller, and their errors are sentences."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError, PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import shows_failures


class ControllerAction(ActionBase):
    """Checks a task's arguments, does its work, and returns an error that was expected as the task's failure.

    ``ARGUMENTS`` is the argument spec, ``RULES`` what else ``ArgumentSpecValidator`` takes (``required_by``, ...).
    """

    TRANSFERS_FILES = False
    _supports_async = False

    ARGUMENTS: ClassVar[dict[str, Any]] = {}
    RULES: ClassVar[dict[str, Any]] = {}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(argument_spec=self.ARGUMENTS, **self.RULES)
        self._display = Display()
        try:
            return self.work(arguments, task_vars or {})
        except CodeDeployError as error:
            return {"failed": True, "changed": False, "msg": f"{error.code}: {error.message}"}
        except PreflightError as error:
            if not shows_failures():
                self._display.display(str(error), color="red")
            return {"failed": True, "changed": False, "msg": str(error)}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Do the task's work.

        :param arguments: as ``ARGUMENTS`` has them, with its defaults.
        :param task_vars: the variables of the host that the task runs for.
        :returns: the task's result.
        :raises CodeDeployError: an operation was refused.
        :raises PreflightError: with all that prevents the operation.
        """
        raise NotImplementedError
