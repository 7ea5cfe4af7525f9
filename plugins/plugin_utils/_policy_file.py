# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where policies are, and who asks: files, the operating system's user, AWX's variables."""

from __future__ import annotations

import os
import pwd
import stat
import typing as t

import yaml

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._policy import InvalidPolicy, Policy, parse_policy

SYSTEM_POLICY = "/etc/agentless.codedeploy/policy.yml"
"""Holds for everybody on the controller whenever it is there."""


class _Loader(yaml.SafeLoader):
    """Takes no mapping that has a key twice: of two lists of statements one would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[t.Any, t.Any]:
        keys = [key.value for key, _value in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_policies(
    environment: t.Mapping[str, str] | None = None, system_policy: str = SYSTEM_POLICY
) -> tuple[Policy, ...]:
    """Read the policies that hold here: the system's, where there is one, and the file that CODEDEPLOY_POLICY names.

    Each has to permit an operation, so that a file of one's own can only take permissions away.

    :returns: none where nothing is configured.
    :raises InvalidPolicy: one cannot be read or is invalid, or the one that was named is missing.
    """
    environment = os.environ if environment is None else environment
    policies = []
    system = _read(system_policy)
    if system is not None:
        policies.append(system)
    named = environment.get("CODEDEPLOY_POLICY")
    if named:
        policy = _read(os.path.expanduser(named))
        if policy is None:
            raise InvalidPolicy(f"There is no policy {named}, which CODEDEPLOY_POLICY names: nothing is permitted.")
        policies.append(policy)
    return tuple(policies)


def principals(variables: t.Mapping[str, t.Any], environment: t.Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The names that stand in policies for who runs this process.

    In a job of AWX ``awx:USER`` and ``awx-job-template:NAME``, by the variables that AWX gives the job; else the
    operating system's user, by its number and not by variables, which everybody may set.

    :param variables: Ansible's variables.
    """
    if _in_awx(environment):
        names = (("awx", "user_name"), ("awx-job-template", "job_template_name"))
        found = [(kind, _awx_variable(variables, name)) for kind, name in names]
        return tuple(f"{kind}:{value}" for kind, value in found if value)
    try:
        return (pwd.getpwuid(os.getuid()).pw_name,)
    except KeyError:
        return (str(os.getuid()),)


def job_of_awx(variables: t.Mapping[str, t.Any], environment: t.Mapping[str, str] | None = None) -> str | None:
    """The number of AWX's job that this process belongs to, None outside of AWX; parameters as of principals()."""
    if not _in_awx(environment):
        return None
    environment = os.environ if environment is None else environment
    return _awx_variable(variables, "job_id") or environment["JOB_ID"]


def _in_awx(environment: t.Mapping[str, str] | None) -> bool:
    environment = os.environ if environment is None else environment
    return "JOB_ID" in environment and any(name.startswith("AWX_") for name in environment)


def _awx_variable(variables: t.Mapping[str, t.Any], name: str) -> str | None:
    """A variable that AWX gives to jobs; Tower, which came before it, has the same under its own name."""
    value = variables.get(f"awx_{name}") or variables.get(f"tower_{name}")
    return str(value) if value else None


def _read(path: str) -> Policy | None:
    try:
        with open(path, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
                raise InvalidPolicy(f"Policy {path} may be changed by everybody: chmod o-w {path}.")
            document = yaml.load(file, _Loader)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidPolicy(f"Policy {path} cannot be read ({error.strerror}): nothing is permitted.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        text = " ".join(str(error).split())
        raise InvalidPolicy(f"Policy {path} is not valid YAML: {text}.") from error
    return parse_policy(document, path)
