# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every file of the collection keeps to, whatever it does."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import collection_loader
import pytest
import yaml
from support.interpreters import interpreters

CHECKOUT = Path(collection_loader.CHECKOUT)
DOCUMENTATION = {"DOCUMENTATION", "EXAMPLES", "RETURN"}


def tracked(*patterns: str) -> list[Path]:
    """Return the files of the checkout that git tracks or would track, as paths relative to it."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns]
    names = subprocess.check_output(listing, cwd=CHECKOUT, text=True).split("\0")
    return sorted(Path(name) for name in names if name and (CHECKOUT / name).is_file())


def parsed(path: Path) -> ast.Module:
    return ast.parse((CHECKOUT / path).read_text())


def loaded(path: Path) -> dict:
    return yaml.safe_load((CHECKOUT / path).read_text()) or {}


def names_of_strings(module: ast.Module) -> dict[str, ast.Assign]:
    """Return the assignments of a module's documentation."""
    found = {}
    for statement in module.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = statement
    return {name: statement for name, statement in found.items() if name in DOCUMENTATION}


def lines_of(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def lines_of_function(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the length of a function without its docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    return lines_of(function) - (lines_of(first) if documented else 0)


PYTHON = tracked("*.py")
PLUGINS = [path for path in PYTHON if path.parts[0] == "plugins"]
ACTIONS = [path for path in PLUGINS if path.parts[1] == "action"]
MODULES = [path for path in PLUGINS if path.parts[1] == "modules"]
# A module without code documents the action of its name, and never leaves the controller.
ON_INSTANCES = [path for path in PLUGINS if path.parts[1] == "module_utils"]
ON_INSTANCES += [path for path in MODULES if any(isinstance(node, ast.FunctionDef) for node in parsed(path).body)]
ROLES = sorted({path.parts[1] for path in tracked("roles/*")})


@pytest.mark.parametrize("path", PYTHON, ids=str)
def test_python_file_names_its_licence(path):
    text = (CHECKOUT / path).read_text()
    head = text.splitlines()[:4]
    assert not text or any("SPDX-License-Identifier: GPL-3.0-or-later" in line for line in head)


@pytest.mark.parametrize("path", PLUGINS, ids=str)
def test_plugin_file_is_about_one_thing(path):
    module = parsed(path)
    documentation = sum(lines_of(statement) for statement in names_of_strings(module).values())
    code = len((CHECKOUT / path).read_text().splitlines()) - documentation
    assert code <= (200 if path.parts[1] == "modules" else 400)


@pytest.mark.parametrize("path", PLUGINS, ids=str)
def test_functions_are_short(path):
    functions = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    limits = {function.name: 40 if function.name == "main" else 50 for function in functions}
    too_long = {
        f"{path}:{function.lineno} {function.name}": lines_of_function(function)
        for function in functions
        if lines_of_function(function) > limits[function.name]
    }
    assert too_long == {}


@pytest.mark.parametrize("path", ACTIONS, ids=str)
def test_action_is_documented_by_a_module(path):
    module = CHECKOUT / "plugins" / "modules" / path.name
    assert module.is_file()
    statements = names_of_strings(parsed(module.relative_to(CHECKOUT)))
    assert set(statements) == DOCUMENTATION


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_module_is_documented_under_its_own_name(path):
    statements = names_of_strings(parsed(path))
    documentation = yaml.safe_load(ast.literal_eval(statements["DOCUMENTATION"].value))
    assert documentation["module"] == path.stem


@pytest.mark.parametrize("role", ROLES)
def test_role_specifies_its_defaults(role):
    directory = Path("roles") / role
    defaults = set()
    for path in tracked(f"{directory}/defaults/*"):
        defaults |= set(loaded(path))
    specification = loaded(directory / "meta" / "argument_specs.yml")["argument_specs"]
    options = {name for entry_point in specification.values() for name in entry_point.get("options", {})}
    assert defaults - options == set()


@pytest.mark.parametrize("role", ROLES)
def test_role_specifies_its_entry_points(role):
    directory = Path("roles") / role
    specification = loaded(directory / "meta" / "argument_specs.yml")["argument_specs"]
    for entry_point in specification:
        assert (CHECKOUT / directory / "tasks" / f"{entry_point}.yml").is_file()
    assert len((CHECKOUT / directory / "tasks" / "main.yml").read_text().splitlines()) <= 60


def test_what_runs_on_instances_compiles_with_the_oldest_python():
    oldest = next(iter(interpreters().values()))
    program = "import sys\nfor path in sys.argv[1:]:\n    compile(open(path, encoding='utf-8').read(), path, 'exec')"
    paths = [str(CHECKOUT / path) for path in ON_INSTANCES]
    done = subprocess.run([str(oldest), "-c", program, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", ON_INSTANCES, ids=str)
def test_what_runs_on_instances_imports_nothing_that_may_be_missing_there(path):
    oldest = next(iter(interpreters().values()))
    # PyYAML is a part of every controller and of no instance; ansible.module_utils travels with the module. What is
    # imported in a function that says what to do without it may be missing.
    tree = parsed(path)
    optional = {
        node
        for attempt in ast.walk(tree)
        if isinstance(attempt, ast.Try)
        and [ast.unparse(rule.type or rule) for rule in attempt.handlers] == ["ImportError"]
        for node in attempt.body
        if attempt not in tree.body
    }
    foreign = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and node not in optional
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if not name.startswith(
            ("ansible.module_utils", "ansible_collections.agentless.codedeploy.plugins.module_utils")
        )
    }
    program = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)"
    command = [str(oldest), "-I", "-S", "-c", program, *sorted(foreign)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_release_notes_know_the_version():
    version = loaded(Path("galaxy.yml"))["version"]
    assert version in loaded(Path("changelogs/changelog.yaml"))["releases"]
    assert version in (CHECKOUT / "CHANGELOG.md").read_text().replace("\\", "")


# Recorded requests and results hold made-up keys, and paths of the machine where they were recorded.
THIS_FILE = Path(__file__).relative_to(CHECKOUT)
OWN_TEXTS = [path for path in tracked() if path.parts[:2] != ("tests", "conformance") and path != THIS_FILE]
NEVER = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n"),
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    "a path of one machine": re.compile(rf"(?<![\w.{{}}])(/root/[.]|/Users/|{re.escape(str(CHECKOUT))}\b)"),
    "the host of a package registry": re.compile(r"\b(pypi\.org|pythonhosted\.org|deb\.debian\.org|registry\.npmjs)"),
}


@pytest.mark.parametrize("what", NEVER)
def test_files_do_not_hold(what):
    found = []
    for path in OWN_TEXTS:
        try:
            text = (CHECKOUT / path).read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path}: {match.group()}" for match in NEVER[what].finditer(text)]
    assert found == []


@pytest.mark.parametrize("path", tracked("playbooks/*.yml"), ids=str)
def test_plays_for_several_hosts_say_what_could_be_configured_otherwise(path: Path) -> None:
    # With strategy free, what is to run once would run for each host; with any_errors_fatal a run would fail whose
    # deployment has succeeded.
    for play in loaded(path):
        if "hosts" in play and play["hosts"] != "localhost":
            assert (play["strategy"], play["any_errors_fatal"]) == ("ansible.builtin.linear", False), play["name"]
