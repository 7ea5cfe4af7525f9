# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports from a module's archive, in a Python of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FILES = {
    "ansible_collections/__init__.py": "",
    "ansible_collections/some/__init__.py": "",
    "ansible_collections/some/first.py": "from ansible_collections.some.inner import second\nVALUE = second.VALUE + 1",
    "ansible_collections/some/inner/__init__.py": "",
    "ansible_collections/some/inner/second.py": "VALUE = 41",
    "other.py": "",
}
PROGRAM = """
import json, sys, importlib.util
finder = importlib.util.spec_from_file_location("import_once", sys.argv[2])
module = importlib.util.module_from_spec(finder)
finder.loader.exec_module(module)
sys.path.insert(0, sys.argv[1])
compiled = []
sys.addaudithook(lambda event, args: compiled.append(args[1]) if event == "compile" and args[0] else None)
if sys.argv[3] == "once":
    module.import_once()
import ansible_collections.some.first as first
import other
try:
    import ansible_collections.some.missing
except ModuleNotFoundError as error:
    missing = error.name
names = ("__file__", "__name__", "__package__")
found = [getattr(first, name) for name in names]
package = list(sys.modules["ansible_collections.some.inner"].__path__)
print(json.dumps([first.VALUE, missing, found, package, [name for name in compiled if name.startswith(sys.argv[1])]]))
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "module.zip"
    with zipfile.ZipFile(path, "w") as stream:
        for name, text in FILES.items():
            stream.writestr(name, text)
    return path


def run(archive: Path, checkout: Path, how: str) -> list[object]:
    """Import from the archive; returns a value, what was missing, attributes, a package's path, the files compiled."""
    source = checkout / "plugins" / "module_utils" / "_import_once.py"
    command = [sys.executable, "-I", "-c", PROGRAM, str(archive), str(source), how]
    return list(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))


def test_each_file_is_compiled_once(archive: Path, checkout: Path) -> None:
    compiled = run(archive, checkout, "once")[4]
    assert isinstance(compiled, list)
    assert sorted(compiled) == [f"{archive}/ansible_collections/some/{name}.py" for name in ("first", "inner/second")]


def test_what_is_imported_is_the_same(archive: Path, checkout: Path) -> None:
    once, usual = run(archive, checkout, "once"), run(archive, checkout, "usual")
    assert once[:4] == usual[:4]
    assert once[:2] == [42, "ansible_collections.some.missing"]
    assert str(once[4]) != str(usual[4])
