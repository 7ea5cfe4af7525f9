# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors of the deployment service, each with CodeDeploy's own code."""

from __future__ import annotations

from collections.abc import Sequence


class CodeDeployError(Exception):
    """An operation was refused; nothing was changed.

    ``code`` is the name CodeDeploy's API gives to the error (without the suffix ``Exception``) or, for errors that
    CodeDeploy reports in ``errorInformation``, that code.
    """

    code = "INTERNAL_ERROR"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class InvalidDeploymentConfig(CodeDeployError):
    """A deployment configuration that no fleet could be deployed with, or an unknown one."""

    code = "InvalidMinimumHealthyHostValue"


class HealthConstraintsInvalid(CodeDeployError):
    """The configuration asks for at least as many healthy instances as there are: nothing could ever start."""

    code = "HEALTH_CONSTRAINTS_INVALID"


class NoInstances(CodeDeployError):
    """The deployment would have no instance."""

    code = "NO_INSTANCES"


class InvalidInput(CodeDeployError):
    """A parameter breaks a rule of the API; ``code`` says which (DescriptionTooLong, for example)."""

    code = "InvalidInput"


class DoesNotExist(CodeDeployError):
    """The deployment, instance or revision that was asked for is not in the store."""

    code = "DeploymentDoesNotExist"


class InstanceNotPending(CodeDeployError):
    """The instance asked to start (or to finish) in a state in which it cannot."""

    code = "InvalidInstanceStatus"


class PreflightError(Exception):
    """An operation cannot succeed; the message lists everything found, and nothing was touched.

    ``problems`` has the findings one by one, for a message of another kind.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)
