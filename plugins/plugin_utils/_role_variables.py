# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of the role C(deploy), checked before a deployment is recorded: their types and their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import Findings

ROLE = "agentless.codedeploy.deploy"
PREFIX = "deploy_"
# High enough that a name of somebody's own is seldom taken for a mistake.
ALIKE = 0.9


def check_role_variables(action: ActionBase, task_vars: Mapping[str, Any], findings: Findings) -> None:
    """Check what the role's later tasks would otherwise be the first to find wrong, instance by instance.

    A value that cannot be of its type is a problem; a name given with C(--extra-vars) that is no variable of the role,
    and almost one, a warning. Nothing is checked when the task is not one of the role.

    :param action: at work; the variables are templated for the host that it runs for.
    :param task_vars: that host's variables.
    :param findings: what is found is added to them.
    """
    role = getattr(action._task, "_role", None)
    if role is None or role.get_name() != ROLE:
        return
    options = role_options()
    given = {name: task_vars[name] for name in options if name in task_vars}
    findings.problems.extend(wrong_types(options, _templated(action, given)))
    findings.warnings.extend(almost_variables(options, load_extra_vars(action._loader)))


def role_options() -> dict[str, Any]:
    """Return the role's variables as its C(meta/argument_specs.yml) has them."""
    path = Path(__file__).parents[2] / "roles" / "deploy" / "meta" / "argument_specs.yml"
    return dict(yaml_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"])


def wrong_types(options: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Return a problem for each variable whose value is not of its type or not one of its choices.

    :param options: specifications by variable, as in C(meta/argument_specs.yml).
    :param given: values by variable. Secrets among them are texts and dictionaries, which no message quotes.
    """
    problems = []
    for name, value in given.items():
        specification = {**options[name], "required": False}
        errors = ArgumentSpecValidator({name: specification}).validate({name: value}).error_messages
        if errors:
            problems.append(f"{name}: {'; '.join(errors)}")
    return problems


def almost_variables(options: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Return a warning for each name that is no variable of the role, and almost one."""
    warnings = []
    for name in names:
        if name.startswith(PREFIX) and name not in options:
            alike = get_close_matches(name, options, 1, ALIKE)
            warnings += [f"{name} is not a variable of the role deploy; is {other} meant?" for other in alike]
    return warnings


def _templated(action: ActionBase, given: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for name, value in given.items():
        try:
            values[name] = action._templar.template(value)
        except AnsibleError:
            # What it refers to may only be there when the role's own task asks for it.
            continue
    return values
