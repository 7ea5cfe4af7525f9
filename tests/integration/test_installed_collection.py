# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users get it: built, installed, documented, and found by Ansible from any directory."""

from __future__ import annotations

import json
import tarfile

import pytest
from support.controller import Controller

PARTS = {"CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md"}
FOLDERS = {"changelogs", "docs", "extensions", "meta", "playbooks", "plugins", "roles"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory, checkout):
    """Give a controller that knows only the collection built from the checkout, and the names of all files in it."""
    directory = tmp_path_factory.mktemp("built")
    collections, home = directory / "collections", directory / "home"
    home.mkdir()
    user = Controller(home, collections, shortcuts=False)
    result = user.run("ansible-galaxy", "collection", "build", str(checkout), "--output-path", str(directory))
    assert result.rc == 0, result
    (archive,) = directory.glob("agentless-codedeploy-*.tar.gz")
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    # Else it stops at the one that make setup has installed beside this ansible-core.
    options = ["--force", "--offline", "--collections-path", str(collections)]
    result = user.run("ansible-galaxy", "collection", "install", str(archive), *options)
    assert result.rc == 0, result
    yield user, names
    user.close()


def test_archive_holds_what_users_need_and_nothing_else(installed):
    _user, names = installed
    assert {name.split("/")[0] for name in names} - FOLDERS == PARTS
    assert "plugins/modules/lifecycle_events.py" in names
    assert [name for name in names if "__pycache__" in name] == []


def test_installed_playbooks_are_found_by_name(installed, checkout):
    user, _names = installed
    for playbook in (checkout / "playbooks").glob("*.yml"):
        result = user.run("ansible-playbook", f"agentless.codedeploy.{playbook.stem}", "--syntax-check")
        assert result.rc == 0, result


@pytest.mark.parametrize("kind", ["module", "filter", "role"])
def test_everything_is_documented(installed, checkout, kind):
    user, _names = installed
    result = user.run("ansible-doc", "--json", "--list", "--type", kind, "agentless.codedeploy")
    assert result.rc == 0, result
    listed = sorted(json.loads(result.stdout))
    folder = {"module": "plugins/modules", "filter": "plugins/filter", "role": "roles"}[kind]
    present = {path.stem for path in (checkout / folder).iterdir() if not path.name.startswith("_")}
    assert {name.rpartition(".")[2] for name in listed} == present
    result = user.run("ansible-doc", "--type", kind, *listed)
    assert result.rc == 0, result
