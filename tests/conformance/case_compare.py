# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recorded case must give: the agent's own result, with the listed differences in place."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml
from conformance.case_result import DEPLOYMENT_VARIABLES, comparable_event, stable

HERE = Path(__file__).resolve().parent
CASES = HERE / "cases"
# Lists whose items a difference names one by one.
ITEM_NAMES = {"events": "event", "dest": "path", "outside": "path"}


def case_names() -> list[str]:
    """Return the names of all recorded cases."""
    return sorted(path.name for path in CASES.iterdir() if path.is_dir())


def load_case(name: str) -> dict[str, Any]:
    """Return what a case does."""
    return json.loads((CASES / name / "case.json").read_text(encoding="utf-8"))


def differences() -> dict[str, dict[str, Any]]:
    """Return the listed differences, ``{case: {"reason": text, "wanted": [changes of each deployment's result]}}``."""
    return yaml.safe_load((HERE / "differences.yml").read_text(encoding="utf-8"))["cases"]


def recorded(name: str) -> list[dict[str, Any]]:
    """Return what the agent gave, in the form of :func:`conformance.case_result.run_case`."""
    expected = json.loads((CASES / name / "expected.json").read_text(encoding="utf-8"))
    return [_comparable(deployment) for deployment in expected["deployments"]]


def _comparable(deployment: dict[str, Any]) -> dict[str, Any]:
    result = {name: deployment.get(name) for name in ("id", "status", "failed_event")}
    result["events"] = [comparable_event(event) for event in deployment.get("events", [])]
    result["scripts"] = [
        {
            "script": call["script"],
            "user": call["user"],
            "groups": sorted(call["groups"].split()),
            "env": {name: value for name, value in call["env"].items() if name in DEPLOYMENT_VARIABLES},
        }
        for call in deployment["probe"]
    ]
    for name in ("dest", "outside", "cleanup", "last_successful_install", "most_recent_install", "kept"):
        if name in deployment:
            result[name] = deployment[name]
    if deployment.get("scripts_log") is not None:
        result["scripts_log"] = stable(deployment["scripts_log"].splitlines())
    return result


def wanted(name: str) -> list[dict[str, Any]]:
    """Return what a case must give: as recorded, unless a difference is listed."""
    result = recorded(name)
    changes = differences().get(name, {}).get("wanted", [])
    assert len(changes) <= len(result), f"{name}: more changes than deployments"
    for number, change in enumerate(changes):
        if change:
            result[number] = changed(result[number], change, result[number - 1] if number else {})
    return result


def changed(result: dict[str, Any], change: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Return a deployment's result with a listed change.

    A value takes the place of the recorded one. For events and trees a mapping names the items that change: to null,
    which leaves the item out, or to what is different or new of it; ``"*": null`` leaves out all recorded items.
    ``without`` names what is left out, ``unchanged`` what is as after the deployment before.
    """
    result = copy.deepcopy(result)
    for name, value in change.items():
        if name == "without":
            for key in value:
                del result[key]
        elif name == "unchanged":
            result.update({key: before[key] for key in value})
        elif name in ITEM_NAMES and isinstance(value, dict):
            result[name] = _changed_items(result[name], ITEM_NAMES[name], dict(value))
        else:
            result[name] = value
    return result


def _changed_items(items: list[dict[str, Any]], key: str, changes: dict[str, Any]) -> list[dict[str, Any]]:
    kept = [] if "*" in changes else list(items)
    changes.pop("*", None)
    by_name = {item[key]: item for item in kept}
    for name, change in changes.items():
        if change is None:
            del by_name[name]
        else:
            by_name[name] = {**by_name.get(name, {key: name}), **change}
    result = list(by_name.values())
    return sorted(result, key=lambda item: item[key]) if key == "path" else result
