# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guides say: what they refer to is there, and the examples in them are right."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import collection_loader
import pytest
import yaml

CHECKOUT = Path(collection_loader.CHECKOUT)
GUIDES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("roles/*/README.md")])
GUIDES.remove(CHECKOUT / "CHANGELOG.md")
README_PARTS = [
    "Description",
    "Requirements",
    "Installation",
    "Use cases",
    "Testing",
    "Contributing",
    "Support",
    "Release notes",
    "Related information",
    "License",
]
PLAY = {"hosts", "ansible.builtin.import_playbook"}
WEAKNESSES = [*map(str, range(1, 10)), "9b", *map(str, range(10, 27))]


def relative(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def rows(guide: str, heading: str) -> list[list[str]]:
    """Return the cells of the tables under a heading of a guide in docs, without their heads."""
    part = (CHECKOUT / "docs" / guide).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def examples(path: Path) -> list[str]:
    """Return the indented examples of a guide, without their indentation."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", path.read_text(), flags=re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") + "\n" for block in blocks if block.strip()]


def documented_plugins() -> list[Path]:
    return sorted([*CHECKOUT.glob("plugins/modules/*.py"), *CHECKOUT.glob("plugins/filter/*.yml")])


def examples_of_plugin(path: Path) -> str:
    if path.suffix == ".yml":
        return yaml.safe_load(path.read_text())["EXAMPLES"]
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "EXAMPLES":
            return ast.literal_eval(statement.value)
    raise AssertionError(f"{path} has no EXAMPLES")


def playbooks() -> dict[str, list]:
    """Return every example that is a list of plays and tasks, as a playbook, by where it stands."""
    texts = {f"{relative(path)}[{number}]": text for path in GUIDES for number, text in enumerate(examples(path))}
    texts = {place: text for place, text in texts.items() if text.startswith(("- ", "---\n- "))}
    texts.update({relative(path): examples_of_plugin(path) for path in documented_plugins()})
    found = {}
    for place, text in texts.items():
        found[place] = [
            entry if PLAY.intersection(entry) else {"hosts": "localhost", "gather_facts": False, "tasks": [entry]}
            for entry in yaml.safe_load(text)
        ]
    return found


def commands() -> dict[str, str]:
    """Return every command line in the guides that runs one of the collection's playbooks, by where it stands."""
    found = {}
    for path in GUIDES:
        for block in examples(path):
            for number, line in enumerate(block.replace("\\\n", " ").splitlines()):
                if "agentless.codedeploy." in line and "ansible-playbook" in line:
                    found[f"{relative(path)}: {' '.join(line.split())} ({number})"] = line
    return found


@pytest.mark.parametrize("path", GUIDES, ids=relative)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text())
    local = [target for target in targets if not target.startswith("https://")]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_every_guide_is_listed() -> None:
    index = (CHECKOUT / "docs" / "README.md").read_text()
    assert [
        path.name for path in CHECKOUT.glob("docs/*.md") if path.name != "README.md" and path.name not in index
    ] == []


def test_the_architecture_names_every_file() -> None:
    text = (CHECKOUT / "docs" / "architecture.md").read_text()
    files = sorted([*CHECKOUT.glob("plugins/module_utils/*.py"), *CHECKOUT.glob("plugins/plugin_utils/*.py")])
    assert [relative(path) for path in files if f"`{path.stem}`" not in text] == []


def test_readme_has_the_parts_of_a_collection_in_order() -> None:
    readme = (CHECKOUT / "README.md").read_text()
    assert re.findall(r"^## (.*)$", readme, flags=re.MULTILINE) == README_PARTS
    use_cases = re.findall(r"^### (.*)$", readme, flags=re.MULTILINE)
    assert 3 <= len([title for title in use_cases if title != "What there is"]) <= 5


@pytest.mark.parametrize("kind", ["playbooks", "roles", "modules"])
def test_readme_names_what_there_is(kind: str) -> None:
    readme = (CHECKOUT / "README.md").read_text()
    present = {
        "playbooks": [f"`agentless.codedeploy.{path.stem}`" for path in CHECKOUT.glob("playbooks/*.yml")],
        "roles": [f"[`{path.name}`]" for path in CHECKOUT.glob("roles/*")],
        "modules": [f"`{path.stem}`" for path in CHECKOUT.glob("plugins/modules/*.py")],
    }[kind]
    assert [name for name in present if name not in readme] == []


@pytest.mark.parametrize("path", sorted(CHECKOUT.glob("playbooks/*.yml")), ids=relative)
def test_variables_of_a_playbook_are_listed(path: Path) -> None:
    used = set(re.findall(r"\{\{ (\w+) \| default\(", path.read_text()))
    listed = (CHECKOUT / "docs" / "playbooks.md").read_text()
    assert [name for name in sorted(used) if not name.startswith("_") and not re.search(rf"\b{name}\b", listed)] == []


@pytest.mark.parametrize("role", sorted(path.name for path in CHECKOUT.glob("roles/*")))
def test_role_readme_names_its_documentation(role: str) -> None:
    assert f"ansible-doc -t role agentless.codedeploy.{role}" in (CHECKOUT / "roles" / role / "README.md").read_text()


def test_options_of_the_deploy_role_are_listed() -> None:
    specification = yaml.safe_load((CHECKOUT / "roles/deploy/meta/argument_specs.yml").read_text())["argument_specs"]
    listed = (CHECKOUT / "docs" / "playbooks.md").read_text()
    assert [name for name in specification["main"]["options"] if f"`{name}`" not in listed] == []


def test_every_weakness_has_a_row() -> None:
    assert [row[0] for row in rows("security.md", "The agent's known weaknesses, and what happens here")] == WEAKNESSES


@pytest.mark.parametrize(
    "name",
    sorted(set(re.findall(r"`([\w/]+\.py::\w+)`", (CHECKOUT / "docs" / "security.md").read_text()))),
)
def test_a_test_that_is_named_as_proof_is_there(name: str) -> None:
    path, _colons, function = name.partition("::")
    tree = ast.parse((CHECKOUT / "tests" / path).read_text())
    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_row_of_the_weaknesses_names_a_test() -> None:
    table = rows("security.md", "The agent's known weaknesses, and what happens here")
    assert [row[0] for row in table if not re.search(r"`[\w/]+\.py::\w+`", row[3])] == []


def test_every_recorded_difference_is_in_a_row() -> None:
    listed = yaml.safe_load((CHECKOUT / "tests/conformance/differences.yml").read_text())
    # A case is named by its number, an AppSpec text by its name.
    recorded = {name.partition("-")[0] for name in listed["cases"]} | {entry["name"] for entry in listed["appspec"]}
    headings = re.findall(r"^## (.*)$", (CHECKOUT / "docs" / "differences.md").read_text(), flags=re.MULTILINE)
    table = [row for heading in headings for row in rows("differences.md", heading)]
    assert {len(row) for row in table} == {4}
    assert {name for row in table for name in row[3].split(", ") if name} == recorded


def test_examples_are_playbooks_that_ansible_accepts(collections_path: Path, tmp_path: Path) -> None:
    """Ansible checks names of modules, roles and keywords; its message names the example's file."""
    for place, playbook in playbooks().items():
        path = tmp_path / (re.sub(r"\W+", "-", place) + ".yml")
        path.write_text(yaml.safe_dump(playbook, sort_keys=False))
    (tmp_path / "inventory.ini").write_text("[web]\nweb1\nweb2\n")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(collections_path),
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
    }
    command = ["ansible-playbook", "-i", "inventory.ini", "-e", "deploy_group=web", "--syntax-check"]
    command += [path.name for path in sorted(tmp_path.glob("*.yml"))]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", commands())
def test_command_runs_a_playbook_with_variables_it_knows(command: str) -> None:
    line = commands()[command]
    name = re.search(r"agentless\.codedeploy\.(\w+)", line)
    assert name and (CHECKOUT / "playbooks" / f"{name.group(1)}.yml").is_file()
    listed = (CHECKOUT / "docs" / "playbooks.md").read_text()
    assert [variable for variable in re.findall(r"-e (\w+)=", line) if not re.search(rf"\b{variable}\b", listed)] == []
