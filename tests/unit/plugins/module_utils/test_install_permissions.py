# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``permissions`` section: which objects an entry matches, and modes, owners, ACLs and contexts on them."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.debian_packages import install_packages
from support.install_trees import Instance, Tree, permission, snapshot

from ansible_collections.agentless.codedeploy.plugins.module_utils._install import InstallError, apply_install
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_acl import full_acl
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_attributes import shown_mode
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_permissions import matcher

TREE: Tree = {
    "a.txt": "a",
    "b.sh": ("mode", 0o755, "b"),
    "d/c.txt": "c",
    "d/e/f.txt": "f",
    "empty": None,
}
ROOT = os.geteuid() == 0
# Without root, files can be given to nobody but oneself.
OWNER = pwd.getpwnam("daemon") if ROOT else pwd.getpwuid(os.geteuid())
GROUP = grp.getgrnam("daemon") if ROOT else grp.getgrgid(os.getegid())


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


def modes(instance: Instance) -> dict[str, str]:
    return {path: f"{entry[1]:o}" for path, entry in instance.installed().items()}


def deployed(
    instance: Instance, *entries: dict[str, Any], tree: Tree | None = None, behavior: str = "DISALLOW"
) -> dict[str, str]:
    instance.deploy("one", TREE if tree is None else tree, instance.spec(list(entries)), behavior)
    return modes(instance)


def problems(instance: Instance, *entries: dict[str, Any], tree: Tree | None = None) -> list[str]:
    archive = instance.archive("one", TREE if tree is None else tree)
    before = snapshot(instance.root, times=True)
    with pytest.raises(InstallError) as raised:
        instance.plan(archive, instance.spec(list(entries)))
    assert snapshot(instance.root, times=True) == before
    return raised.value.problems


PLAIN = {"a.txt": "644", "b.sh": "755", "d": "755", "d/c.txt": "644", "d/e": "755", "d/e/f.txt": "644", "empty": "755"}


class TestMatching:
    def test_everything_below_a_folder(self, instance: Instance) -> None:
        assert deployed(instance, permission(instance.destination, mode="740")) == dict.fromkeys(PLAIN, "740")

    def test_files_only(self, instance: Instance) -> None:
        found = deployed(instance, permission(instance.destination, mode="600", type=["file"]))
        assert found == {path: "600" if "." in path else mode for path, mode in PLAIN.items()}

    def test_no_type_matches_nothing(self, instance: Instance) -> None:
        assert deployed(instance, permission(instance.destination, mode="600", type=[])) == PLAIN

    def test_a_pattern_matches_direct_children(self, instance: Instance) -> None:
        assert deployed(instance, permission(instance.destination, mode="600", pattern="*.txt")) == {
            **PLAIN,
            "a.txt": "600",
        }

    def test_exceptions_are_direct_children(self, instance: Instance) -> None:
        entry = permission(instance.destination, mode="700", exclude=["a.txt", "d/c.txt", "e*"])
        assert deployed(instance, entry) == {**dict.fromkeys(PLAIN, "700"), "a.txt": "644", "empty": "755"}

    def test_only_the_star_is_special(self) -> None:
        assert matcher("*.txt")("a.txt") and matcher("a*c*")("abcd") and matcher("*")("new\nline")
        assert not matcher("?.txt")("a.txt")
        assert not matcher("[a]*")("a.txt")
        assert matcher("[a]*")("[a].txt")

    def test_the_object_itself_is_not_matched(self, instance: Instance) -> None:
        files = [("/", instance.destination / "app")]
        spec = instance.spec([permission(instance.destination / "app", mode="700", type=["directory"])], files)
        instance.deploy("one", {"d/x": "x"}, spec)
        assert modes(instance) == {"app": "755", "app/d": "700", "app/d/x": "644"}

    def test_an_object_that_is_a_file(self, instance: Instance) -> None:
        assert deployed(instance, permission(f"{instance.destination}/b.sh/", mode="600")) == {**PLAIN, "b.sh": "600"}

    def test_a_file_needs_the_type_file(self, instance: Instance) -> None:
        entry = permission(instance.destination / "a.txt", mode="600", type=["directory"])
        assert deployed(instance, entry) == PLAIN

    @pytest.mark.parametrize(("key", "value"), [("pattern", "*.txt"), ("exclude", ["x"])])
    def test_pattern_and_except_do_not_fit_a_file(self, instance: Instance, key: str, value: Any) -> None:
        (problem,) = problems(instance, permission(instance.destination / "a.txt", mode="600", **{key: value}))
        assert problem.startswith(f"permissions[0].{'except' if key == 'exclude' else key}: ")

    def test_what_was_there_is_not_touched(self, instance: Instance) -> None:
        (instance.destination / "user").mkdir()
        (instance.destination / "user" / "data").write_text("mine")
        (instance.destination / "d").mkdir(mode=0o750)
        found = deployed(instance, permission(instance.destination, mode="700"))
        assert {path: found[path] for path in ("user", "user/data", "d", "d/e")} == {
            "user": "755", "user/data": "644", "d": "750", "d/e": "700",
        }  # fmt: skip

    def test_a_retained_file_is_not_touched(self, instance: Instance) -> None:
        (instance.destination / "a.txt").write_text("mine")
        found = deployed(instance, permission(instance.destination, mode="600", type=["file"]), behavior="RETAIN")
        assert (found["a.txt"], found["b.sh"]) == ("644", "600")

    def test_one_entry_an_object(self, instance: Instance) -> None:
        entries = [
            permission(instance.destination, mode="600", pattern="a*"),
            permission(instance.destination, mode="644"),
        ]
        (problem,) = problems(instance, *entries)
        assert (
            problem == f"permissions[1]: {instance.destination}/a.txt already has its permissions from permissions[0]"
        )

    def test_an_entry_without_objects_is_a_warning(self, instance: Instance) -> None:
        plan = instance.plan(instance.archive("one", TREE), instance.spec([permission("/no/such", owner="nosuchuser")]))
        assert plan.warnings == ["permissions[0]: /no/such: matches nothing that is deployed"]

    @pytest.mark.parametrize("values", [{"pattern": 5}, {"exclude": [5]}])
    def test_a_pattern_is_text(self, instance: Instance, values: Any) -> None:
        (problem,) = problems(instance, permission(instance.destination, **values))
        assert problem.startswith("permissions[0]: pattern and except must be text")


class TestModesAndOwners:
    def test_owner_and_group(self, instance: Instance) -> None:
        deployed(instance, permission(instance.destination, owner=OWNER.pw_name, group=GROUP.gr_name, mode="750"))
        found = {entry[1:4] for entry in instance.installed().values()}
        assert found == {(0o750, OWNER.pw_uid, GROUP.gr_gid)}

    @pytest.mark.parametrize("mode", ["4755", "2755", "6711", "1644"])
    def test_the_mode_survives_a_change_of_owner(self, instance: Instance, mode: str) -> None:
        entry = permission(instance.destination / "b.sh", owner=OWNER.pw_name, group=GROUP.gr_name, mode=mode)
        assert deployed(instance, entry)["b.sh"] == mode

    def test_setuid_of_the_revision_does_not_survive_it(self, instance: Instance) -> None:
        entry = permission(instance.destination / "x", owner=OWNER.pw_name)
        assert deployed(instance, entry, tree={"x": ("mode", 0o6755, "x")}) == {"x": "755"}

    @pytest.mark.parametrize(
        ("what", "name"), [("owner", "nosuchuser"), ("group", "nosuchgroup"), ("owner", "65534"), ("owner", 65534)]
    )
    def test_unknown_names_are_found_before(self, instance: Instance, what: str, name: Any) -> None:
        (problem,) = problems(instance, permission(instance.destination, **{what: name}))
        assert problem.startswith(f"permissions[0].{what}: this instance has no ")
        assert repr(name) in problem

    def test_a_folder_closed_to_all_is_filled_first(self, instance: Instance) -> None:
        entries = [
            permission(instance.destination, pattern="d", mode="500", type=["directory"]),
            permission(instance.destination / "d", mode="640", type=["file"]),
        ]
        found = deployed(instance, *entries)
        assert (found["d"], found["d/c.txt"], found["d/e"], found["d/e/f.txt"]) == ("500", "640", "755", "640")

    def test_a_folder_gets_its_mode_back(self, instance: Instance) -> None:
        deployed(instance, permission(instance.destination, pattern="d", mode="700", type=["directory"]))
        inode = os.stat(instance.destination / "d").st_ino
        assert deployed(instance) == PLAIN
        assert os.stat(instance.destination / "d").st_ino == inode

    def test_another_mode_rewrites_only_its_files(self, instance: Instance) -> None:
        deployed(instance, permission(instance.destination, mode="640", type=["file"]))
        spec = instance.spec([permission(instance.destination, mode="640", type=["file"], exclude=["a.txt"])])
        plan = instance.deploy("two", TREE, spec)
        assert plan.replaced == [f"{instance.destination}/a.txt"]
        assert len(plan.kept) == 3

    def test_links_are_followed(self, instance: Instance) -> None:
        found = deployed(
            instance, permission(instance.destination / "link", mode="600"), tree={"x": "x", "link": ("link", "x")}
        )
        assert found["x"] == "600"

    def test_the_later_entry_wins_on_a_link_and_its_target(self, instance: Instance) -> None:
        tree: Tree = {"x": "x", "link": ("link", "x")}
        entries = [permission(instance.destination / name, mode=mode) for name, mode in (("link", "600"), ("x", "640"))]
        assert deployed(instance, *entries, tree=tree)["x"] == "640"
        assert deployed(instance, *reversed(entries), tree=tree)["x"] == "600"

    def test_what_is_behind_a_link_is_kept_with_its_permissions(self, instance: Instance) -> None:
        tree: Tree = {"d/x": "x", "link": ("link", "far/../other"), "other": ("link", "d/x"), "e/y": "y"}
        (instance.destination / "far").mkdir()
        spec = instance.spec([permission(instance.destination / "link", mode="600")])
        instance.deploy("one", tree, spec)
        assert modes(instance)["d/x"] == "600"
        plan = instance.deploy("two", tree, spec)
        assert (plan.replaced, plan.attributes, len(plan.kept)) == ([], [], 4)
        assert modes(instance)["d/x"] == "600"

    def test_what_no_deployment_made_behind_a_link(self, instance: Instance, tmp_path: Path) -> None:
        (tmp_path / "theirs").write_text("theirs")
        spec = instance.spec([permission(instance.destination / "link", mode="600")])
        instance.deploy("one", {"link": ("link", "../theirs")}, spec)
        assert (tmp_path / "theirs").stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("text", ["nowhere", "link", "gone", "a.txt/x"])
    def test_a_link_to_nothing_is_found_before(self, instance: Instance, text: str) -> None:
        deployed(instance, tree={"gone": "1", "a.txt": "1"})
        (problem,) = problems(
            instance,
            permission(instance.destination / "link", mode="600"),
            tree={"a.txt": "other", "link": ("link", text)},
        )
        assert problem.startswith(f"permissions[0]: {instance.destination}/link would be a symbolic link to nothing")

    def test_a_late_failure_restores_everything(self, instance: Instance, tmp_path: Path) -> None:
        deployed(instance)
        self.install_with_a_late_failure(instance, tmp_path)

    def test_what_was_overwritten_comes_back_when_install_fails(self, instance: Instance, tmp_path: Path) -> None:
        (instance.destination / "a.txt").write_text("somebody else's")
        (instance.destination / "a.txt").chmod(0o600)
        self.install_with_a_late_failure(instance, tmp_path)

    @staticmethod
    def install_with_a_late_failure(instance: Instance, tmp_path: Path) -> None:
        """Have somebody delete what a rule is for just before it is its turn."""
        before = instance.installed(times=True)
        spec = instance.spec([permission(instance.destination / "link", mode="600")])
        (tmp_path / "theirs").write_text("theirs")
        plan = instance.plan(
            instance.archive("two", {"a.txt": "new", "link": ("link", "../theirs")}), spec, "OVERWRITE"
        )
        (tmp_path / "theirs").unlink()
        with pytest.raises(InstallError, match="the previous version was restored"):
            apply_install(plan, instance.instructions)
        assert instance.installed(times=True) == before
        assert instance.leftovers() == []


class TestAcls:
    """``setfacl`` and ``getfacl`` are the system's own (package acl)."""

    @pytest.fixture(autouse=True)
    def _programs(self) -> None:
        install_packages({"setfacl": "acl", "getfacl": "acl"})

    @pytest.mark.parametrize(
        ("entries", "mode", "expected"),
        [
            (["user:nobody:rw-"], 0o644, ["user:nobody:rw-", "user::rw-", "group::r--", "other::r--", "mask::r--"]),
            (["user:nobody:rw-", "mask::r-x"], 0o640,
             ["user:nobody:rw-", "mask::r-x", "user::rw-", "group::r--", "other::---"]),
            ([], 0o751, ["user::rwx", "group::r-x", "other::--x"]),
            (
                ["default:user:nobody:rwx", "default:group::r-x"],
                0o755,
                ["user::rwx", "group::r-x", "other::r-x", "default:user:nobody:rwx", "default:group::r-x",
                 "default:user::rwx", "default:other::r-x", "default:mask::r-x"],
            ),
        ],
    )  # fmt: skip
    def test_complete_list(self, entries: list[str], mode: int, expected: list[str]) -> None:
        assert full_acl(entries, mode) == expected

    def test_the_mode_shows_the_mask(self) -> None:
        assert shown_mode(0o640, ["mask::r-x", "group::r--"]) == 0o650
        assert shown_mode(0o640, ["group::r--"]) == 0o640

    def test_each_object_has_its_own(self, instance: Instance) -> None:
        deployed(instance, permission(instance.destination, pattern="*", type=["file"], acls=["user:nobody:rw-"]))
        assert getfacl(instance.destination / "a.txt") == [
            "user::rw-", "user:nobody:rw-\t#effective:r--", "group::r--", "mask::r--", "other::r--",
        ]  # fmt: skip
        assert getfacl(instance.destination / "b.sh") == [
            "user::rwx", "user:nobody:rw-\t#effective:r--", "group::r-x", "mask::r-x", "other::r-x",
        ]  # fmt: skip

    def test_a_folder_with_default_entries(self, instance: Instance) -> None:
        acls = ["default:user:nobody:rwx", "default:group::r-x"]
        entry = permission(instance.destination, pattern="d", type=["directory"], acls=acls)
        for _time in range(2):
            deployed(instance, entry)
            assert "default:user:nobody:rwx\t#effective:r-x" in getfacl(instance.destination / "d")
            assert getfacl(instance.destination / "d" / "e") == ["user::rwx", "group::r-x", "other::r-x"]
        deployed(instance)
        assert getfacl(instance.destination / "d") == ["user::rwx", "group::r-x", "other::r-x"]

    def test_unchanged_files_stay_and_lose_an_acl_that_is_gone(self, instance: Instance) -> None:
        spec = instance.spec([permission(instance.destination, pattern="a*", acls=["user:nobody:r--"])])
        instance.deploy("one", TREE, spec)
        assert len(instance.deploy("two", TREE, spec).kept) == 4
        plan = instance.deploy("three", TREE)
        assert plan.replaced == [f"{instance.destination}/a.txt"]
        assert getfacl(instance.destination / "a.txt") == ["user::rw-", "group::r--", "other::r--"]

    def test_default_entries_do_not_fit_a_file(self, instance: Instance) -> None:
        (problem,) = problems(instance, permission(instance.destination / "a.txt", acls=["default:user:nobody:rwx"]))
        assert "only a folder has default entries" in problem

    def test_a_name_that_setfacl_does_not_know_restores_everything(self, instance: Instance) -> None:
        with pytest.raises(InstallError, match="setfacl failed"):
            deployed(instance, permission(instance.destination, acls=["user:nosuchuser:r--"]))
        assert modes(instance) == {}
        assert instance.leftovers() == []

    @pytest.mark.parametrize("name", ["a b", "-bR", "$(touch ran)", "'; touch ran; '", "new\nline", 'q"uote'])
    def test_names_are_never_part_of_a_command(
        self, instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        entry = permission(instance.destination, pattern="*", type=["file"], acls=["user:nobody:r--"])
        deployed(instance, entry, tree={name: "a"})
        assert "user:nobody:r--" in getfacl(instance.destination / name)
        assert not (tmp_path / "ran").exists()

    def test_without_setfacl(self, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nonexistent")
        (problem,) = problems(instance, permission(instance.destination, acls=["user:nobody:r--"]))
        assert problem == "permissions[0].acls: needs the command setfacl; install it"


def getfacl(path: Path) -> list[str]:
    output = subprocess.run(["getfacl", "-cp", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [line for line in output.splitlines() if line]


class TestContexts:
    """There is no SELinux here: programs of the same names note how they are called, and one can be told to fail."""

    @pytest.fixture
    def calls(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        tools = tmp_path / "tools"
        tools.mkdir()
        calls = tmp_path / "calls"
        for name in ("semanage", "restorecon"):
            program = tools / name
            program.write_text(
                f'#!/bin/sh\necho "$0" "$@" | sed "s:.*/tools/::" >> {calls}\n! [ -e {tmp_path}/fail-{name} ]\n'
            )
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        return calls

    def test_context_comes_and_goes(self, instance: Instance, calls: Path) -> None:
        context = {"user": "system_u", "type": "httpd_sys_content_t", "range": "s0:c1"}
        path = instance.destination / "a.txt"
        deployed(instance, permission(path, context=context))
        assert calls.read_text().splitlines() == [
            f"semanage fcontext -a -s system_u -t httpd_sys_content_t -r s0:c1 -- {path}",
            f"restorecon -v {path}",
        ]
        assert f"semanage\0{path}" in Path(instance.instructions.cleanup).read_text().splitlines()
        calls.unlink()
        deployed(instance)
        assert calls.read_text().splitlines() == [f"semanage fcontext -d -- {path}"]

    def test_without_range(self, instance: Instance, calls: Path) -> None:
        path = instance.destination / "a.txt"
        deployed(instance, permission(path, context={"user": None, "type": "t", "range": None}))
        assert calls.read_text().splitlines()[0] == f"semanage fcontext -a -t t -- {path}"

    def test_a_failure_restores_everything(self, instance: Instance, calls: Path, tmp_path: Path) -> None:
        deployed(
            instance, permission(instance.destination / "a.txt", context={"user": None, "type": "old", "range": None})
        )
        before = instance.installed(times=True)
        calls.unlink()
        (tmp_path / "fail-restorecon").touch()
        entry = permission(instance.destination / "b.sh", context={"user": None, "type": "new", "range": None})
        with pytest.raises(InstallError, match="restorecon failed"):
            instance.deploy("two", {"b.sh": "two"}, instance.spec([entry]))
        assert instance.installed(times=True) == before
        assert calls.read_text().splitlines()[-2:] == [
            f"semanage fcontext -d -- {instance.destination}/b.sh",
            f"semanage fcontext -a -t old -- {instance.destination}/a.txt",
        ]

    def test_without_the_commands(self, instance: Instance) -> None:
        assert shutil.which("semanage") is None
        found = problems(instance, permission(instance.destination, context={"user": None, "type": "t", "range": None}))
        assert found == [
            f"permissions[0].context: needs the command {tool}; install it" for tool in ("semanage", "restorecon")
        ]
