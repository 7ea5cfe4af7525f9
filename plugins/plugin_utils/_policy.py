# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may do what with which application and deployment group, by the rules of resource-level permissions. Pure.

A policy is a list of statements as in IAM: what no statement allows is denied, and one that denies wins.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError

ACTIONS = (
    "BatchGetDeploymentTargets",
    "ContinueDeployment",
    "CreateDeployment",
    "GetApplication",
    "GetApplicationRevision",
    "GetDeployment",
    "GetDeploymentConfig",
    "GetDeploymentGroup",
    "GetDeploymentTarget",
    "ListApplicationRevisions",
    "ListApplications",
    "ListDeploymentGroups",
    "ListDeploymentTargets",
    "ListDeployments",
    "PruneDeployments",
    "RegisterApplicationRevision",
    "StopDeployment",
    "UpdateDeploymentGroup",
)
"""The operations of CodeDeploy's API that can be permitted; a deployment that goes back is a CreateDeployment too.

PruneDeployments is not one of the API, where deployments are removed with their application.
"""

_KEYS = ("effect", "principal", "action", "application", "deployment_group")
_EFFECTS = ("Allow", "Deny")


class InvalidPolicy(CodeDeployError):
    """A policy cannot be read or breaks a rule; nothing is permitted until it is corrected."""

    code = "InvalidPolicy"


class AccessDenied(CodeDeployError):
    """A policy does not permit an operation; nothing was changed."""

    code = "AccessDenied"


@dataclass(frozen=True)
class Operation:
    """What is about to be done: one of ACTIONS, and with what; None where the operation is not about a single one."""

    action: str
    application_name: str | None = None
    deployment_group_name: str | None = None

    def __str__(self) -> str:
        where = f" on application {self.application_name}" if self.application_name else ""
        return self.action + where + (f", group {self.deployment_group_name}" if self.deployment_group_name else "")


@dataclass(frozen=True)
class Statement:
    """Patterns of one statement; it is about an operation when one of each matches. ``*`` stands for any characters."""

    effect: t.Literal["Allow", "Deny"]
    principal: tuple[str, ...]
    action: tuple[str, ...]
    application: tuple[str, ...]
    deployment_group: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """The statements of one file; ``source`` is its name in messages."""

    source: str
    statements: tuple[Statement, ...]


def parse_policy(document: t.Any, source: str) -> Policy:
    """Read a policy's parsed YAML: ``{statements: [{effect, principal, action, application, deployment_group}]}``.

    ``effect`` is Allow or Deny, each other key a pattern or a list of patterns; none may be missing, so that nothing is
    permitted, and nothing left out of a Deny, by an oversight.

    :raises InvalidPolicy: with every problem; a policy is never used in part.
    """
    if (
        not isinstance(document, dict)
        or set(document) != {"statements"}
        or not isinstance(document["statements"], list)
    ):
        raise InvalidPolicy(f"{source}: a policy is a mapping with the key 'statements', a list, and no other key.")
    problems: list[str] = []
    for number, given in enumerate(document["statements"], 1):
        problems.extend(f"statement {number}: {problem}" for problem in _problems(given))
    if problems:
        raise InvalidPolicy(f"{source}: {'; '.join(problems)}.")
    return Policy(source, tuple(_statement(given) for given in document["statements"]))


def check_permission(policies: t.Sequence[Policy], principals: t.Sequence[str], operation: Operation) -> None:
    """Make sure that every policy permits an operation; without any policy everything is permitted.

    :param principals: the names that stand for who asks; a statement is about any of them.
    :raises AccessDenied: a policy denies it, or has no statement that allows it.
    """
    for policy in policies:
        about = [statement for statement in policy.statements if _is_about(statement, principals, operation)]
        denied = any(statement.effect == "Deny" for statement in about)
        if denied or not about:
            reason = "a statement denies it" if denied else "no statement allows it"
            raise AccessDenied(
                f"{' or '.join(principals) or 'An unknown user'} may not do {operation}: {reason} in {policy.source}."
            )


def _is_about(statement: Statement, principals: t.Sequence[str], operation: Operation) -> bool:
    return (
        any(_matches(statement.principal, principal) for principal in principals)
        and _matches(_plain_actions(statement.action), operation.action.lower())
        and _matches(statement.application, operation.application_name)
        and _matches(statement.deployment_group, operation.deployment_group_name)
    )


def _matches(patterns: t.Sequence[str], name: str | None) -> bool:
    if name is None:
        # What is not about one application or group is about all: only who may use all of them may do it.
        return any(not pattern.strip("*") for pattern in patterns)
    return any(_expression(pattern).fullmatch(name) for pattern in patterns)


def _expression(pattern: str) -> re.Pattern[str]:
    # Stars side by side say no more than one, and would take long to find out.
    return re.compile(".*".join(re.escape(part) for part in re.split(r"\*+", pattern)), re.DOTALL)


def _plain_actions(patterns: t.Sequence[str]) -> list[str]:
    """Actions in IAM are written with the service in front or without, and in any case."""
    return [pattern.lower().removeprefix("codedeploy:") for pattern in patterns]


def _problems(given: t.Any) -> t.Iterator[str]:
    if not isinstance(given, dict):
        yield "it is not a mapping"
        return
    yield from (f"unknown key {key!r}" for key in given if key not in _KEYS)
    for key in _KEYS:
        if key not in given:
            yield f"{key} is missing"
        elif key == "effect":
            if given[key] not in _EFFECTS:
                yield f"effect is Allow or Deny, not {given[key]!r}"
        elif not _patterns(given[key]):
            yield f"{key} is a text or a list of texts, none of them empty"
        elif key == "action":
            yield from _action_problems(_patterns(given[key]))


def _action_problems(patterns: t.Sequence[str]) -> t.Iterator[str]:
    for pattern in patterns:
        if not any(_matches(_plain_actions([pattern]), action.lower()) for action in ACTIONS):
            yield f"there is no action {pattern!r}, only {', '.join(ACTIONS)}"


def _patterns(value: t.Any) -> tuple[str, ...]:
    """The patterns of a key, none when it is not written as it must be."""
    patterns = value if isinstance(value, list) else [value]
    good = all(isinstance(pattern, str) and pattern for pattern in patterns)
    return tuple(patterns) if good else ()


def _statement(given: dict[str, t.Any]) -> Statement:
    return Statement(given["effect"], *(_patterns(given[key]) for key in _KEYS[1:]))
