# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that reads an AppSpec file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.agentless.codedeploy.plugins.filter.appspec import FilterModule

appspec = FilterModule().filters()["appspec"]


@pytest.mark.parametrize("text", ["version: 0.0\nos: linux\nfiles: []\n", b"\xef\xbb\xbfversion: 0.0\nos: linux\n"])
def test_text(text: str | bytes) -> None:
    assert appspec(text) == {
        "version": 0.0,
        "os": "linux",
        "file_exists_behavior": None,
        "hooks": {},
        "files": [],
        "permissions": [],
    }


def test_error_has_every_problem() -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        appspec("version: 1\nos: Linux\n")
    assert str(caught.value).split("\n") == [
        "The AppSpec file has errors:",
        "version: 1: the only version is the number 0.0, without quotes",
        'os: "Linux": write linux (or windows), in lower case',
    ]


@pytest.mark.parametrize("value", [{"version": 0.0, "os": "linux"}, None, 5, ["version: 0.0"]])
def test_not_a_text(value: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="reads the text of an AppSpec file"):
        appspec(value)


def test_text_that_is_no_unicode() -> None:
    with pytest.raises(AnsibleFilterError, match="not UTF-8"):
        appspec("version: 0.0\nos: \udce9\n")


def run_ansible(arguments: list[str], collections_path: Path, directory: Path) -> str:
    """Run Ansible's own command and return what it printed."""
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections_path), "ANSIBLE_HOME": str(directory)}
    command = [str(Path(sys.executable).with_name(arguments[0])), *arguments[1:]]
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_ansible_finds_the_filter(collections_path: Path, tmp_path: Path) -> None:
    (tmp_path / "appspec.yml").write_text("version: 0.0\nos: linux\npermissions: [{object: /a, mode: 0644}]\n")
    template = "mode is {{ (lookup('file', 'appspec.yml') | agentless.codedeploy.appspec).permissions[0].mode }}"
    arguments = ["ansible", "localhost", "-m", "ansible.builtin.debug", "-a", f'msg="{template}"']
    assert "mode is 0644" in run_ansible(arguments, collections_path, tmp_path)


def test_ansible_finds_the_documentation(collections_path: Path, tmp_path: Path) -> None:
    arguments = ["ansible-doc", "--type", "filter", "--json", "agentless.codedeploy.appspec"]
    assert '"short_description": "Read and check an AppSpec file"' in run_ansible(arguments, collections_path, tmp_path)
