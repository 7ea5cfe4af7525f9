# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AppSpec texts that were recorded from the CodeDeploy agent, read by the program that others call as well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).resolve().parent
RECORDED = json.loads((HERE / "appspec-parse.json").read_text(encoding="utf-8"))
DIFFERENCES = yaml.safe_load((HERE / "differences.yml").read_text(encoding="utf-8"))["appspec"]

DEFAULTS = {"version": 0.0, "os": "linux", "file_exists_behavior": None, "hooks": {}, "files": [], "permissions": []}
SCRIPT_DEFAULTS = {"timeout": 3600, "runas": None, "sudo": None}
PERMISSION_DEFAULTS = {
    "pattern": "**",
    "except": [],
    "type": ["file", "directory"],
    "owner": None,
    "group": None,
    "mode": None,
    "acls": None,
    "context": None,
}


def given(case: dict[str, Any]) -> str | dict[str, str]:
    """Return a recorded text in the form in which the program takes it."""
    return {"b64": case["b64"]} if "b64" in case else case["text"]


def answers(texts: list[Any], directory: Path) -> list[dict[str, Any]]:
    """Ask the program, from another directory and with nothing but PATH in the environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}/usr/bin{os.pathsep}/bin"
    done = subprocess.run(
        [str(HERE / "appspec")],
        input=json.dumps(texts).encode(),
        capture_output=True,
        env={"PATH": path},
        cwd=directory,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    result = json.loads(done.stdout)
    assert len(result) == len(texts)
    return result


@pytest.fixture(scope="module")
def recorded_answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Give the program's answers to all recorded texts, by name."""
    result = answers([given(case) for case in RECORDED], tmp_path_factory.mktemp("elsewhere"))
    return {case["name"]: answer for case, answer in zip(RECORDED, result, strict=True)}


def text_of(value: Any) -> str:
    """Return a value as text in which 0 and 0.0 and true differ."""
    return json.dumps(value, sort_keys=True, indent=1)


def test_names_are_unique() -> None:
    names = [case["name"] for case in RECORDED]
    assert len(names) == len(set(names)) == 289


def test_differences_name_recorded_texts() -> None:
    names = {case["name"] for case in RECORDED}
    for difference in DIFFERENCES:
        assert ("text" in difference) != (difference["name"] in names), difference["name"]
        assert difference["reason"]


SAME = [case for case in RECORDED if case["name"] not in {difference["name"] for difference in DIFFERENCES}]


@pytest.mark.parametrize("case", SAME, ids=lambda case: case["name"])
def test_same_as_the_agent(case: dict[str, Any], recorded_answers: dict[str, dict[str, Any]]) -> None:
    answer = recorded_answers[case["name"]]
    if case["expected"]["ok"]:
        assert answer["ok"], answer
        assert text_of(answer["spec"]) == text_of(case["expected"]["spec"])
    else:
        assert answer["ok"] is False, answer
        assert answer["errors"]
        assert all(isinstance(error, str) and error and "\n" not in error for error in answer["errors"])


def wanted_spec(wanted: dict[str, Any]) -> dict[str, Any]:
    """Fill the defaults into the parts of a spec that a difference names."""
    spec = {**DEFAULTS, **wanted}
    spec["hooks"] = {
        event: [{**SCRIPT_DEFAULTS, **script} for script in scripts] for event, scripts in spec["hooks"].items()
    }
    spec["permissions"] = [{**PERMISSION_DEFAULTS, **permission} for permission in spec["permissions"]]
    return spec


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference["name"])
def test_difference(difference: dict[str, Any], tmp_path: Path) -> None:
    recorded = {case["name"]: case for case in RECORDED}.get(difference["name"])
    text = difference["text"] if recorded is None else given(recorded)
    spec = wanted_spec(difference["wanted"])
    assert text_of(answers([text], tmp_path)) == text_of([{"ok": True, "spec": spec}])
    if recorded is not None:
        assert recorded["expected"].get("spec") != spec, "this is no difference"
