# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State files and AppSpec values that nobody writes on purpose: Install says what is wrong, or goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.install_trees import Instance, permission

from ansible_collections.agentless.codedeploy.plugins.module_utils import _install, _install_files, _state_seal
from ansible_collections.agentless.codedeploy.plugins.module_utils._install import InstallError
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_journal import write_journal
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_manifest import read_previous


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


def refused(instance: Instance, *arguments: Any, **more: Any) -> str:
    """Deploy a revision that is refused, see that nothing is left of it, and return the message."""
    with pytest.raises(InstallError) as error:
        instance.deploy("one", {"a": "1"}, *arguments, **more)
    assert instance.leftovers() == []
    return str(error.value)


def test_a_sealed_file_tells_of_any_change() -> None:
    data = _state_seal.seal({"a": [1, "x"]})
    assert _state_seal.unseal(data) == {"a": [1, "x"]}
    assert _state_seal.unseal(None) is None
    for position in range(len(data)):
        assert _state_seal.unseal(data[:position]) is None
        assert _state_seal.unseal(data[:position] + b"~" + data[position + 1 :]) is None


def test_a_damaged_journal_stops_everything_and_is_named(instance: Instance) -> None:
    instance.deploy("one", {"a": "1"})
    kept = instance.root / "kept"
    kept.write_text("kept")
    operations = [["place", str(kept), str(kept) + ".new", None], ["aside", str(kept) + "-", str(kept)]]
    write_journal(instance.instructions, {"state": "commit", "prefix": "k", "folders": [], "operations": operations})
    journal = Path(instance.instructions.journal)
    journal.write_bytes(journal.read_bytes().replace(b"kept-", b"kept/"))
    before = instance.installed()
    with pytest.raises(InstallError, match="journal.*damaged"):
        instance.deploy("two", {"a": "2"})
    assert (instance.installed(), kept.read_text(), journal.exists()) == (before, "kept", True)


def test_a_damaged_manifest_gives_way_to_the_cleanup_file(instance: Instance) -> None:
    instance.deploy("one", {"a": "1", "b": "1"})
    other = instance.root / "other"
    other.mkdir()
    (other / "b").write_text("kept")
    manifest = Path(instance.instructions.manifest)
    manifest.write_bytes(manifest.read_bytes().replace(str(instance.destination).encode(), str(other).encode()))
    instance.deploy("two", {"a": "2"})
    assert (sorted(instance.installed()), (other / "b").read_text()) == (["a"], "kept")


@pytest.mark.parametrize("line", ["//{0}/b", "{0}//b", "{0}/./b", "{0}/sub/../b", "{0}/b/"])
def test_a_path_of_a_cleanup_file_may_be_written_in_any_way(instance: Instance, line: str) -> None:
    instance.deploy("one", {"a": "1", "b": "1", "sub/c": "1"})
    os.unlink(instance.instructions.manifest)
    Path(instance.instructions.cleanup).write_text(line.format(instance.destination) + "\n")
    instance.deploy("two", {"b": "2"})
    assert instance.installed()["b"][-1] == b"2"


@pytest.mark.parametrize(
    "line",
    [b"/", b"/..", b"//", b"/a\0b", b"semanage\0/a\0b", b"/" + b"x" * 5000, b"/a" * 1500, b"/a/..", b"\xff", b""],
)
def test_a_line_of_a_cleanup_file_that_names_nothing_is_passed_over(instance: Instance, line: bytes) -> None:
    os.makedirs(instance.instructions.directory)
    Path(instance.instructions.cleanup).write_bytes(line + b"\n")
    instance.deploy("one", {"a": "1"})
    assert list(instance.installed()) == ["a"]


def test_a_name_after_going_up_is_where_the_kernel_finds_it(instance: Instance) -> None:
    (instance.root / "far" / "inner").mkdir(parents=True)
    (instance.destination / "link").symlink_to(instance.root / "far" / "inner")
    os.makedirs(instance.instructions.directory)
    Path(instance.instructions.cleanup).write_text(f"{instance.destination}/link/../x\n")
    assert read_previous(instance.instructions)[0] == {str(instance.root / "far"): (None, {"x": None})}


def test_what_cannot_be_read_is_a_problem_of_the_install(instance: Instance) -> None:
    os.makedirs(instance.instructions.cleanup)
    assert instance.instructions.cleanup in refused(instance)


@pytest.mark.parametrize("destination", ["/a" * 1000, "/" + "x" * 300])
def test_a_destination_that_cannot_be_is_refused(instance: Instance, destination: str) -> None:
    spec = instance.spec(files=[("/", destination)])
    assert refused(instance, spec, destination_root=str(instance.destination))


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"owner": "a\0b"}, "owner"),
        ({"group": "a\0b"}, "group"),
        ({"acls": ["user:a\0b:rw-"]}, "acls"),
        ({"context": {"user": None, "type": "a\0b", "range": None}}, "context"),
    ],
)
def test_a_nul_character_in_permissions_is_refused(instance: Instance, values: dict[str, Any], key: str) -> None:
    assert f"permissions[0].{key}" in refused(instance, instance.spec([permission(instance.destination, **values)]))


def test_a_nul_character_in_an_object_is_refused(instance: Instance) -> None:
    assert "permissions[0].object" in refused(instance, instance.spec([permission("/a\0b", mode="644")]))


def test_recovery_of_a_damaged_journal_can_be_repeated(instance: Instance) -> None:
    os.makedirs(instance.instructions.directory)
    Path(instance.instructions.journal).write_text("{}")
    for _attempt in range(2):
        with pytest.raises(InstallError, match="damaged"):
            _install.recover_install(instance.instructions)


@pytest.mark.parametrize(
    "links",
    [{"a/in": "..", "a/again": "."}, {f"{n}/{name}": f"../{n + 1}" for n in range(19) for name in "ab"}],
)
def test_links_to_folders_that_multiply_each_other_are_refused(
    instance: Instance, links: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_install_files, "MOST_LINKED", 1000)
    tree: dict[str, Any] = {"a/file": "1", "19/file": "1"}
    tree.update({name: ("link", text) for name, text in links.items()})
    with pytest.raises(InstallError, match="multiply"):
        instance.deploy("one", tree)
    assert instance.installed() == {}


def test_what_several_links_lead_to_is_installed_for_each(instance: Instance) -> None:
    instance.deploy("one", {"a/file": "1", "b": ("link", "a"), "c": ("link", "a")})
    assert {name for name in instance.installed() if name.endswith("/file")} == {"a/file", "b/file", "c/file"}
