# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``files`` section: sources, destinations, links, duplicates, what exists already, and what is removed."""

from __future__ import annotations

import json
import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from support.install_trees import Instance, Tree, permission, snapshot

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import manifest
from ansible_collections.agentless.codedeploy.plugins.module_utils._file_record import (
    file_record,
    listed_records,
    listing,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._install import InstallError

SELF = (os.geteuid(), os.getegid())


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


def contents(instance: Instance) -> dict[str, object]:
    """Return path -> content of files and links, None for folders."""
    return {path: entry[4] for path, entry in instance.installed().items()}


def problems(instance: Instance, *arguments: object, **more: object) -> list[str]:
    before = snapshot(instance.root, times=True)
    with pytest.raises(InstallError) as raised:
        instance.plan(*arguments, **more)
    assert snapshot(instance.root, times=True) == before
    assert str(raised.value) == "\n".join(raised.value.problems)
    return raised.value.problems


class TestSources:
    def test_content_of_a_folder_goes_to_the_destination(self, instance: Instance) -> None:
        archive = instance.archive("one", {"src/1": "1", "src/x/y/2": "2", "src/empty": None, "not/3": "3"})
        instance.install(archive, instance.spec(files=[("src", instance.destination / "app")]))
        assert contents(instance) == {
            "app": None, "app/1": b"1", "app/empty": None, "app/x": None, "app/x/y": None, "app/x/y/2": b"2",
        }  # fmt: skip
        assert sorted(instance.cleanup()) == ["app", "app/1", "app/empty", "app/x", "app/x/y", "app/x/y/2"]

    @pytest.mark.parametrize("source", ["/", ".", "", "./"])
    def test_whole_revision(self, instance: Instance, source: str) -> None:
        instance.deploy("one", {".env": "e", ".git/config": "g"}, instance.spec(files=[(source, instance.destination)]))
        assert contents(instance) == {".env": b"e", ".git": None, ".git/config": b"g"}

    @pytest.mark.parametrize("source", ["src/1", "/src/1", "src//1", "src/../src/1"])
    def test_a_file_goes_into_the_destination_folder(self, instance: Instance, source: str) -> None:
        files = [(source, instance.destination / "conf.txt")]
        instance.deploy("one", {"src/1": "1"}, instance.spec(files=files))
        assert contents(instance) == {"conf.txt": None, "conf.txt/1": b"1"}

    def test_links_are_made_again_with_the_same_text(self, instance: Instance) -> None:
        tree: Tree = {
            "file": "x",
            "good": ("link", "file"),
            "dangling": ("link", "nowhere"),
            "out": ("link", "/etc/passwd"),
        }
        instance.deploy("one", tree)
        assert contents(instance) == {"file": b"x", "good": b"file", "dangling": b"nowhere", "out": b"/etc/passwd"}

    def test_links_to_folders_are_followed(self, instance: Instance) -> None:
        instance.deploy("one", {"real/1": "1", "link": ("link", "real")})
        assert contents(instance) == {"real": None, "real/1": b"1", "link": None, "link/1": b"1"}

    def test_a_loop_of_links_ends_where_the_system_ends_it(self, instance: Instance) -> None:
        instance.deploy("one", {"src/1": "1", "src/loop": ("link", ".")})
        found = contents(instance)
        assert sum(path.endswith("/1") for path in found) == 41
        assert [path.count("loop") for path, content in found.items() if content == b"."] == [41]

    @pytest.mark.parametrize("source", ["..", "../other", "src/../..", "up", "up/secret", "folder/up/secret"])
    def test_nothing_outside_the_revision_is_deployed(self, instance: Instance, source: str) -> None:
        instance.archive("other", {"secret": "secret"})
        archive = instance.archive(
            "one", {"up": ("link", "../other"), "folder/up": ("link", "../../other"), "src": None}
        )
        (problem,) = problems(instance, archive, instance.spec(files=[(source, instance.destination)]))
        assert "leads out of the revision" in problem
        assert problem.startswith("files[0].source")

    def test_a_link_out_of_the_revision_inside_a_folder(self, instance: Instance) -> None:
        instance.archive("other", {"secret": "secret"})
        archive = instance.archive("one", {"src/up": ("link", "../../other")})
        (problem,) = problems(instance, archive)
        assert "src/up is a symbolic link out of the revision" in problem

    def test_pipes_are_refused(self, instance: Instance) -> None:
        archive = instance.archive("one", {"a": "a"})
        os.mkfifo(archive / "pipe")
        (problem,) = problems(instance, archive)
        assert "pipe is neither a file, a folder nor a symbolic link" in problem

    def test_missing_sources_are_found_together(self, instance: Instance) -> None:
        archive = instance.archive("one", {"a.txt": "a"})
        files = [(source, instance.destination) for source in ("nope", "a.txt", "*.txt", "A.TXT")]
        found = problems(instance, archive, instance.spec(files=files))
        assert [problem.split(":")[0] for problem in found] == ["files[0].source", "files[2].source", "files[3].source"]

    @pytest.mark.parametrize(
        "name", [b"end ", b" begin", b"new\nline", b"tab\t", b"q'uo\"te", b"\xe9t\xe9", b"-rf", b"$(x)"]
    )
    def test_any_name_is_installed_and_removed_again(self, instance: Instance, name: bytes) -> None:
        tree: Tree = {os.fsdecode(name): "x", os.fsdecode(b"in/" + name + b"/file"): "y"}
        instance.deploy("one", tree)
        assert set(contents(instance)) == {*tree, "in", os.fsdecode(b"in/" + name)}
        instance.deploy("one", tree)
        assert set(contents(instance)) == {*tree, "in", os.fsdecode(b"in/" + name)}
        instance.deploy("two", {"other": "z"})
        assert contents(instance) == {"other": b"z"}

    def test_modes_are_kept_of_files_and_not_of_folders(self, instance: Instance) -> None:
        modes = [0o4755, 0o2755, 0o444, 0o600, 0o664, 0o1644, 0o777] + [0o000] * (SELF == (0, 0))
        archive = instance.archive("one", {f"{mode:o}": "x" for mode in modes} | {"d/x": "x"})
        for mode in modes:
            (archive / f"{mode:o}").chmod(mode)
        (archive / "d").chmod(0o700)
        instance.install(archive)
        found = instance.installed()
        assert {path: f"{entry[1]:o}" for path, entry in found.items() if "d" not in path} == {
            f"{mode:o}": f"{mode:o}" for mode in modes
        }
        assert found["d"][1] == 0o755
        assert os.stat(instance.destination / "d" / "x").st_mtime == 1600000000

    def test_owners_of_files_are_kept(self, instance: Instance) -> None:
        archive = instance.archive("one", {"x": ("mode", 0o4755, "x"), "d/y": "y"})
        owner = (12345, 54321) if SELF == (0, 0) else SELF
        for name in ("x", "d"):
            os.chown(archive / name, *owner)
        os.chmod(archive / "x", 0o4755)
        instance.install(archive)
        assert instance.installed()["x"][1:4] == (0o4755, *owner)
        assert instance.installed()["d"][2:4] == SELF

    def test_hard_links_become_files_of_their_own(self, instance: Instance) -> None:
        archive = instance.archive("one", {"1": "x"})
        os.link(archive / "1", archive / "2")
        instance.install(archive)
        assert os.stat(instance.destination / "1").st_nlink == 1
        assert contents(instance) == {"1": b"x", "2": b"x"}


class TestDestinations:
    def test_trailing_and_double_slashes(self, instance: Instance) -> None:
        files = [("src/", f"{instance.destination}/a//b/"), ("/src/1", f"{instance.destination}/c/")]
        instance.deploy("one", {"src/1": "1"}, instance.spec(files=files))
        assert contents(instance) == {"a": None, "a/b": None, "a/b/1": b"1", "c": None, "c/1": b"1"}

    def test_relative_to_the_working_directory(self, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(instance.destination)
        instance.deploy("one", {"a": "A"}, instance.spec(files=[("a", "relative")]))
        assert contents(instance) == {"relative": None, "relative/a": b"A"}

    def test_below_a_root_of_its_own(self, instance: Instance) -> None:
        spec = instance.spec(files=[("a", "/srv/app"), ("a", "/")])
        instance.deploy("one", {"a": "A"}, spec, destination_root=str(instance.destination))
        assert contents(instance) == {"srv": None, "srv/app": None, "srv/app/a": b"A", "a": b"A"}
        instance.deploy("two", {"b": "B"}, instance.spec(files=[]), destination_root=str(instance.destination))
        assert contents(instance) == {}

    def test_through_a_link_to_a_folder(self, instance: Instance, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (instance.destination / "link").symlink_to(tmp_path / "real")
        instance.deploy("one", {"1": "x", "d/2": "x"}, instance.spec(files=[("/", instance.destination / "link")]))
        assert set(snapshot(tmp_path / "real")) == {"1", "d", "d/2"}
        assert instance.cleanup() == ["link/1", "link/d", "link/d/2"]
        instance.deploy("two", {}, instance.spec(files=[]))
        assert contents(instance) == {"link": os.fsencode(tmp_path / "real")}
        assert snapshot(tmp_path / "real") == {}

    def test_dots_leave_a_folder_that_is_there(self, instance: Instance) -> None:
        files = [("a", f"{instance.destination}/x/../y")]
        archive = instance.archive("one", {"a": "A"})
        (problem,) = problems(instance, archive, instance.spec(files=files))
        assert "for '..' to leave" in problem
        (instance.destination / "x").mkdir()
        instance.install(archive, instance.spec(files=files))
        assert contents(instance) == {"x": None, "y": None, "y/a": b"A"}

    @pytest.mark.parametrize("inner", ["", "/deeper", "/deeper/still"])
    def test_a_file_cannot_be_a_folder(self, instance: Instance, inner: str) -> None:
        (instance.destination / "conf").write_text("mine")
        archive = instance.archive("one", {"src/1": "1"})
        for source in ("src", "src/1"):
            spec = instance.spec(files=[(source, f"{instance.destination}/conf{inner}")])
            (problem,) = problems(instance, archive, spec)
            assert "conf is a file" in problem

    @pytest.mark.parametrize("destination", ["~/app", "~", "~root/app"])
    def test_a_tilde_is_no_folder(self, instance: Instance, destination: str) -> None:
        archive = instance.archive("one", {"a": "A"})
        (problem,) = problems(instance, archive, instance.spec(files=[("a", destination)]))
        assert problem.startswith("files[0].destination: ~")

    @pytest.mark.parametrize("value", [1, None, ["a"], "nul\0"])
    def test_a_path_is_text(self, instance: Instance, value: object) -> None:
        spec = instance.spec()
        spec["files"] = [{"source": value, "destination": "/x"}, {"source": "/", "destination": value}]
        found = problems(instance, instance.archive("one", {}), spec)
        assert [problem.split(":")[0] for problem in found] == ["files[0].source", "files[1].destination"]


class TestDuplicates:
    @pytest.mark.parametrize("pairs", [["a/1", "b/1"], ["a/1", "a/1"], ["a", "a/1"], ["a", "b"]])
    def test_two_sources_for_one_file(self, instance: Instance, pairs: list[str]) -> None:
        archive = instance.archive("one", {"a/1": "a", "b/1": "b"})
        (problem,) = problems(instance, archive, instance.spec(files=[(pair, instance.destination) for pair in pairs]))
        assert problem.startswith("files[1].destination")
        assert f"are both for {instance.destination}/1" in problem

    @pytest.mark.parametrize("order", [["a/n", "b"], ["b", "a/n"]])
    def test_a_file_and_a_folder(self, instance: Instance, order: list[str]) -> None:
        archive = instance.archive("one", {"a/n": "file", "b/n/1": "folder"})
        (problem,) = problems(instance, archive, instance.spec(files=[(name, instance.destination) for name in order]))
        assert f"{instance.destination}/n is a fo" in problem or f"{instance.destination}/n is a fi" in problem

    def test_folders_are_merged(self, instance: Instance) -> None:
        spec = instance.spec(files=[("a", instance.destination / "x"), ("b", instance.destination / "x")])
        instance.deploy("one", {"a/d/1": "1", "b/d/2": "2"}, spec)
        assert contents(instance) == {"x": None, "x/d": None, "x/d/1": b"1", "x/d/2": b"2"}

    def test_two_names_of_one_path(self, instance: Instance) -> None:
        (instance.destination / "real").mkdir()
        (instance.destination / "link").symlink_to("real")
        archive = instance.archive("one", {"a/1": "a", "b/1": "b"})
        files = [("a", instance.destination / "real"), ("b", instance.destination / "link")]
        (problem,) = problems(instance, archive, instance.spec(files=files))
        assert "are the same path" in problem


class TestExistingFiles:
    def test_all_conflicts_are_reported(self, instance: Instance) -> None:
        (instance.destination / "a").write_text("mine")
        (instance.destination / "d").mkdir()
        archive = instance.archive("one", {"a": "new", "b": "new", "d": "a file here"})
        with pytest.raises(InstallError) as raised:
            instance.plan(archive)
        assert raised.value.plan.conflicting == [f"{instance.destination}/a", f"{instance.destination}/d"]
        assert contents(instance) == {"a": b"mine", "d": None}

    def test_a_conflict_leaves_the_previous_version(self, instance: Instance) -> None:
        instance.deploy("one", {"a": "1"})
        (instance.destination / "b").write_text("mine")
        problems(instance, instance.archive("two", {"a": "2", "b": "2"}))
        assert contents(instance) == {"a": b"1", "b": b"mine"}
        assert instance.cleanup() == ["a"]

    @pytest.mark.parametrize("behavior", ["OVERWRITE", "overwrite"])
    def test_overwrite(self, instance: Instance, behavior: str) -> None:
        (instance.destination / "a").write_text("mine")
        if SELF == (0, 0):
            os.chown(instance.destination / "a", 1, 1)
        plan = instance.deploy("one", {"a": ("mode", 0o755, "new")}, None, behavior)
        assert plan.replaced == [f"{instance.destination}/a"]
        assert instance.installed()["a"][1:] == (0o755, *SELF, b"new")
        instance.deploy("two", {}, None, behavior)
        assert contents(instance) == {}

    def test_retain(self, instance: Instance) -> None:
        (instance.destination / "1").write_text("mine")
        instance.deploy("one", {"1": "new", "2": "new"}, None, "RETAIN")
        assert contents(instance) == {"1": b"mine", "2": b"new"}
        assert instance.cleanup() == ["2"]
        instance.deploy("two", {})
        assert contents(instance) == {"1": b"mine"}

    def test_the_appspec_goes_before_the_deployment(self, instance: Instance) -> None:
        (instance.destination / "a").write_text("mine")
        instance.deploy("one", {"a": "new"}, dict(instance.spec(), file_exists_behavior="OVERWRITE"), "DISALLOW")
        assert contents(instance) == {"a": b"new"}

    def test_an_unknown_behavior_matters_with_a_conflict_only(self, instance: Instance) -> None:
        archive = instance.archive("one", {"a": "new"})
        instance.install(archive, None, "REPLACE")
        (instance.destination / "b").write_text("mine")
        (problem,) = problems(instance, instance.archive("two", {"b": "new"}), None, "REPLACE")
        assert "'REPLACE': must be DISALLOW, OVERWRITE or RETAIN" in problem

    @pytest.mark.parametrize("there", [True, False])
    def test_a_link_is_written_through(self, instance: Instance, tmp_path: Path, there: bool) -> None:
        target = tmp_path / "target"
        if there:
            target.write_text("mine")
        (instance.destination / "a").symlink_to(target)
        instance.deploy("one", {"a": "new"}, None, "OVERWRITE" if there else "DISALLOW")
        assert contents(instance) == {"a": os.fsencode(target)}
        assert target.read_text() == "new"
        assert instance.cleanup() == ["a"]
        instance.deploy("two", {})
        assert contents(instance) == {}
        assert target.read_text() == "new"

    def test_a_dangling_link_into_nowhere(self, instance: Instance) -> None:
        (instance.destination / "a").symlink_to("/nonexistent/folder/file")
        (problem,) = problems(instance, instance.archive("one", {"a": "new"}))
        assert "is a symbolic link into a folder that is not there" in problem

    def test_overwrite_into_a_folder_of_that_name(self, instance: Instance) -> None:
        (instance.destination / "a").mkdir()
        (instance.destination / "a" / "inner").write_text("mine")
        for _time in range(2):
            instance.deploy("one", {"a": "new"}, None, "OVERWRITE")
            assert contents(instance) == {"a": None, "a/a": b"new", "a/inner": b"mine"}
            assert instance.cleanup() == ["a"]

    def test_a_link_cannot_overwrite(self, instance: Instance) -> None:
        (instance.destination / "a").write_text("mine")
        (problem,) = problems(instance, instance.archive("one", {"a": ("link", "x")}), None, "OVERWRITE")
        assert "cannot become a symbolic link" in problem


class TestPreviousDeployment:
    def test_only_its_own_files_go(self, instance: Instance) -> None:
        instance.deploy("one", {"a": "1", "d/b": "1", "e/f/c": "1", "empty": None})
        (instance.destination / "d" / "mine").write_text("mine")
        instance.deploy("two", {"z": "2"})
        assert contents(instance) == {"z": b"2", "d": None, "d/mine": b"mine"}
        assert instance.cleanup() == ["z"]

    def test_a_folder_that_survives_is_no_longer_recorded(self, instance: Instance) -> None:
        instance.deploy("one", {"d/b": "1"})
        (instance.destination / "d" / "mine").write_text("mine")
        instance.deploy("two", {"d/b": "2"})
        assert instance.cleanup() == ["d/b"]

    def test_changed_and_removed_files(self, instance: Instance) -> None:
        instance.deploy("one", {"a": "1", "b": "1", "c": "1"})
        (instance.destination / "a").write_text("changed by hand")
        (instance.destination / "b").unlink()
        (instance.destination / "c").unlink()
        (instance.destination / "c").mkdir()
        plan = instance.deploy("one", {"a": "1", "b": "1", "c": "1"})
        assert contents(instance) == {"a": b"1", "b": b"1", "c": b"1"}
        assert plan.kept == []

    def test_types_change(self, instance: Instance) -> None:
        instance.deploy("one", {"a": "file", "b/c/d": "deep", "l": ("link", "a"), "m": "file"})
        instance.deploy("two", {"a/b": "deep", "b": "file", "l": "file", "m": ("link", "b")})
        assert contents(instance) == {"a": None, "a/b": b"deep", "b": b"file", "l": b"file", "m": b"b"}
        instance.deploy("one", {"a": "file", "b/c/d": "deep", "l": ("link", "a"), "m": "file"})
        assert contents(instance) == {"a": b"file", "b": None, "b/c": None, "b/c/d": b"deep", "l": b"a", "m": b"file"}

    @pytest.mark.parametrize("text", ["d", "nowhere", "/nowhere"])
    def test_a_folder_becomes_a_link(self, instance: Instance, text: str) -> None:
        instance.deploy("one", {"d/e": None, "d/f": "1"})
        instance.deploy("two", {"d": ("link", text)})
        assert set(contents(instance)) == {"d"}
        assert instance.leftovers() == []

    def test_a_folder_that_became_a_link_is_not_walked_through(self, instance: Instance, tmp_path: Path) -> None:
        instance.deploy("one", {"d/e/x": "1"})
        other = tmp_path / "other"
        (instance.destination / "d").rename(other)
        (instance.destination / "d").symlink_to(other)
        instance.deploy("two", {"z": "2"})
        assert contents(instance) == {"z": b"2"}
        assert (other / "e" / "x").read_text() == "1"

    def test_unchanged_files_are_left_alone(self, instance: Instance) -> None:
        tree: Tree = {"a": "1", "d/b": "1", "l": ("link", "a")}
        instance.deploy("one", tree)
        before = {path: path.lstat() for path in instance.destination.rglob("*")}
        plan = instance.deploy("two", tree)
        after = {path: path.lstat() for path in instance.destination.rglob("*")}
        assert [(status.st_ino, status.st_ctime_ns) for status in before.values()] == [
            (status.st_ino, status.st_ctime_ns) for status in after.values()
        ]
        assert (len(plan.kept), plan.replaced, plan.removed) == (3, [], [])

    @pytest.mark.parametrize("change", ["content", "mode", "times"] + ["owner"] * (SELF == (0, 0)))
    def test_a_file_touched_by_hand_is_written_again(self, instance: Instance, change: str) -> None:
        instance.deploy("one", {"a": "1"})
        path = instance.destination / "a"
        if change == "content":
            path.write_text("2")
            os.utime(path, (1600000000, 1600000000))
        elif change == "mode":
            path.chmod(0o600)
            path.chmod(0o644)
        elif change == "owner":
            os.chown(path, 1, 1)
        else:
            os.utime(path, (1500000000, 1500000000))
        plan = instance.deploy("one", {"a": "1"})
        assert plan.replaced == [str(path)]
        assert instance.installed(times=True)["a"][1:] == (0o644, *SELF, b"1", 1600000000 * 10**9)

    def test_a_host_that_the_agent_deployed_to(self, instance: Instance) -> None:
        """Only the agent's own file is there; its unfinished last line does not count."""
        for name in ("a", "b", "c "):
            (instance.destination / name).write_text("old")
        (instance.destination / "d").mkdir()
        (instance.destination / "d" / "e\nf").write_text("old")
        os.mkdir(instance.instructions.directory)
        lines = "".join(f"{instance.destination}/{name}\n" for name in ("a", "c ", "d", "d/e\nf"))
        Path(instance.instructions.cleanup).write_text(lines + f"{instance.destination}/b")
        instance.deploy("one", {"a": "new"})
        assert contents(instance) == {"a": b"new", "b": b"old"}

    def test_a_manifest_counts_only_beside_its_cleanup_file(self, instance: Instance) -> None:
        instance.deploy("one", {"a": "1", "b": "1"})
        Path(instance.instructions.cleanup).write_text(f"{instance.destination}/a\n")
        instance.deploy("two", {})
        assert contents(instance) == {"b": b"1"}

    def test_without_a_cleanup_file_nothing_is_the_previous_deployments(self, instance: Instance) -> None:
        instance.deploy("one", {"a": "1"})
        os.unlink(instance.instructions.cleanup)
        instance.deploy("two", {})
        assert contents(instance) == {"a": b"1"}

    def test_two_groups_do_not_share(self, instance: Instance) -> None:
        instance.deploy("one", {"a": "1"})
        other = Instance(instance.root)
        other.instructions = type(instance.instructions)(instance.instructions.directory, "other-group")
        (problem,) = problems(other, other.archive("two", {"a": "2"}))
        assert "no deployment of this group made it" in problem


class TestRecords:
    def test_files_of_the_agent(self, instance: Instance) -> None:
        archive = instance.archive("one", {"d/1": "1", 'q"\u00e4': "2"})
        instance.install(archive)
        found = json.loads(Path(instance.instructions.install_json).read_bytes())
        top = str(instance.destination)
        assert sorted(found["instructions"], key=str) == sorted(
            [
                {"type": "mkdir", "directory": f"{top}/d"},
                {"type": "copy", "source": f"{archive}/d/1", "destination": f"{top}/d/1"},
                {"type": "copy", "source": f'{archive}/q"\u00e4', "destination": f'{top}/q"\u00e4'},
            ],
            key=str,
        )
        lines = instance.cleanup()
        assert lines.index("d") < lines.index("d/1")

    def test_only_root_reads_the_manifest(self, instance: Instance) -> None:
        instance.deploy("one", {"a": "1"})
        assert os.stat(instance.instructions.manifest).st_mode & 0o777 == 0o600
        assert not instance.leftovers()

    def test_the_archives_manifest_is_believed_only_of_the_same_file(self, instance: Instance) -> None:
        archive = instance.archive("one", {"a": "1", "b": "1"})
        records = {name: file_record("0" * 64, os.stat(archive / name)) for name in ("a", "b")}
        recorded = {"": listing(records)}
        (archive / "b").write_text("2")
        os.utime(archive / "b", (1600000000, 1600000000))
        instance.install(archive, archive_manifest=recorded)
        folders = json.loads(Path(instance.instructions.manifest).read_text())["folders"]
        written = listed_records(folders[str(instance.destination)][0])
        assert written["a"].split(" ")[1] == "0" * 64
        assert written["b"].split(" ")[1] != "0" * 64


class TestRoom:
    def test_too_little_space_is_found_before(self, instance: Instance) -> None:
        archive = instance.archive("one", {"a": "1"})
        room = os.statvfs(instance.destination)
        os.truncate(archive / "a", room.f_bfree * room.f_frsize + (1 << 30))
        (problem,) = problems_without_reading(instance, archive)
        assert "bytes are needed on the file system" in problem


class TestAllProblems:
    """Whatever can be known before the first change is in one message, and nothing was touched."""

    def test_of_every_kind(self, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nonexistent")
        tree: Tree = {"a": "1", "big": "1", "d/x": "1", "link": ("link", "nowhere"), "acl": "1", "context": "1"}
        archive = instance.archive("one", tree)
        room = os.statvfs(instance.destination)
        os.truncate(archive / "big", room.f_bfree * room.f_frsize + (1 << 30))
        (instance.destination / "a").write_text("somebody else's")
        (instance.destination / "file").write_text("1")
        (instance.destination / "one").mkdir()
        (instance.destination / "alias").symlink_to("one")
        there = instance.destination
        files = [("/", there), ("gone", there), ("a", there / "file"), ("../x", there), ("a", "~/x"), ("d/x", there)]
        files += [("d/x", there), ("d/x", there / "one"), ("d/x", there / "alias")]
        context = {"user": None, "type": "t", "range": None}
        entries = [
            permission(there / "x", owner="nosuchuser", group="nosuchgroup"),
            permission(there / "link", mode="600"),
            permission(there / "acl", acls=["user:nobody:r--"]),
            permission(there / "context", context=context),
            permission(there / "x", mode="600"),
        ]
        before = instance.installed(times=True)
        found = problems_without_reading(instance, archive, instance.spec(entries, files))
        assert instance.installed(times=True) == before
        assert not os.path.exists(instance.instructions.directory)
        for text in (
            "/a already exists and no deployment of this group made it",
            "files[1].source: gone is not in the revision",
            "is a file; destination must be a folder",
            "leads out of the revision",
            "'~' stands for no folder here",
            "are both for",
            "are the same path",
            "no user named 'nosuchuser'",
            "no group named 'nosuchgroup'",
            "already has its permissions from permissions[0]",
            "would be a symbolic link to nothing",
            "needs the command setfacl",
            "needs the command semanage",
            "needs the command restorecon",
            "bytes are needed on the file system",
        ):
            assert [problem for problem in found if text in problem], (text, found)
        assert len(found) == 15

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
    def test_of_a_user_who_may_not_write(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            instance = Instance(Path(name))
            instance.root.chmod(0o755)
            archive = instance.archive("one", {"locked/a": "1", "locked/b": "1", "sticky/theirs": "1", "new/a": "1"})
            for folder, mode in (("locked", 0o755), ("sticky", 0o1777)):
                (instance.destination / folder).mkdir()
                (instance.destination / folder).chmod(mode)
            (instance.destination / "sticky" / "theirs").write_text("1")
            entry = permission(instance.destination / "new", owner="root")
            os.seteuid(1)
            try:
                found = problems(instance, archive, instance.spec([entry]), "OVERWRITE")
            finally:
                os.seteuid(0)
            there, check = instance.destination, "check its owner, its mode and its mount"
            sticky = f"in {there}/sticky only owners may replace files (sticky bit), and 1 of them are another user's"
            assert sorted(found) == [
                f"files: {there} cannot be written; {check}",
                f"files: {there}/locked cannot be written; {check}",
                f"files: {sticky}",
                "permissions[0].owner: only root may give files to 'root'; deploy with become",
            ]


def problems_without_reading(instance: Instance, archive: Path, *arguments: Any) -> list[str]:
    with pytest.raises(InstallError) as raised:
        instance.plan(archive, *arguments)
    return raised.value.problems


def deploy_with_manifest(instance: Instance, name: str, tree: Tree) -> Any:
    """Unpack a revision as DownloadBundle does, with a manifest of every folder, and install it."""
    archive = instance.archive(name, tree)
    files = {path: sha256(str(text).encode()).hexdigest() for path, text in tree.items()}
    return instance.install(archive, archive_manifest=manifest(str(archive), files))


class TestListings:
    def test_of_a_folder_only_what_differs_is_written(self, instance: Instance) -> None:
        tree: Tree = {"d/a": "1", "d/b": "1", "d/c": "1", "e/a": "1"}
        deploy_with_manifest(instance, "one", tree)
        for name, change, kept in (
            ("two", {}, 4),
            ("three", {"d/b": "2"}, 3),
            ("four", {"d/b": "2", "d/new": "1"}, 4),
            ("five", {"d/a": "2", "d/b": "2", "d/c": "2"}, 2),
            ("six", {"d/a": "2", "d/b": "2", "d/c": "2"}, 4),
        ):
            before = {path: path.lstat().st_ino for path in instance.destination.rglob("?")}
            plan = deploy_with_manifest(instance, name, {**tree, **change})
            after = {path: path.lstat().st_ino for path in instance.destination.rglob("?")}
            same = {path for path in after if path.is_file() and before.get(path) == after[path]}
            assert len(plan.kept) == len(same) == kept
            wanted = {path: str(text).encode() for path, text in {**tree, **change}.items()}
            assert {path: text for path, text in contents(instance).items() if text is not None} == wanted
        deploy_with_manifest(instance, "seven", {"e/a": "1"})
        assert contents(instance) == {"e": None, "e/a": b"1"}

    def test_a_file_of_the_archive_changed_by_a_hook_is_seen(self, instance: Instance) -> None:
        tree: Tree = {"d/a": "1", "d/b": "1"}
        deploy_with_manifest(instance, "one", tree)
        archive = instance.archive("two", tree)
        files = {path: sha256(b"1").hexdigest() for path in tree}
        recorded = manifest(str(archive), files)
        (archive / "d" / "b").write_text("changed")
        (archive / "d" / "added").write_text("added")
        instance.install(archive, archive_manifest=recorded)
        assert contents(instance) == {"d": None, "d/a": b"1", "d/b": b"changed", "d/added": b"added"}

    @pytest.mark.parametrize("foreign", [False, True])
    def test_what_cannot_have_changed_is_not_looked_at(self, instance: Instance, foreign: bool) -> None:
        tree: Tree = {"d/a": "1", "d/b": "1", "d/s/c": "1", "d/link": ("link", "a"), "top": "1", "e": None}
        if foreign:
            (instance.destination / "d").mkdir()
            (instance.destination / "d" / "foreign").write_text("1")
        deploy_unpacked(instance, "one", tree)
        before = {path: path.lstat().st_ino for path in instance.destination.rglob("*")}
        plan = deploy_unpacked(instance, "two", {**tree, "d/b": "2", "e/new": "1"})
        kept = ("d/a", "d/link", "d/s/c", "top")
        assert sorted(plan.kept) == [f"{instance.destination}/{name}" for name in kept]
        after = {path: path.lstat().st_ino for path in instance.destination.rglob("*")}
        assert {path.name for path in after if before.get(path) != after[path]} == {"b", "new"}
        found = {path: text for path, text in contents(instance).items() if path != "d/foreign"}
        files = {"d/a": b"9", "d/b": b"2", "d/s/c": b"1", "top": b"1", "e/new": b"1", "d/link": b"a"}
        assert found == {"d": None, "d/s": None, "e": None, **files}
        modified = {path.stat().st_mtime for path in instance.destination.rglob("b")}
        assert modified == {1600000000.0}


def deploy_unpacked(instance: Instance, name: str, tree: Tree) -> Any:
    """Install a revision as right after its unpacking."""
    archive = instance.archive(name, tree)
    folders: dict[str, list[str]] = {os.path.relpath(path, archive): [] for path, _folders, _files in os.walk(archive)}
    files = {}
    for path in archive.rglob("*"):
        relative = str(path.relative_to(archive))
        if path.is_file() and not path.is_symlink():
            files[relative] = sha256(path.read_bytes()).hexdigest()
        else:
            folders[os.path.dirname(relative) or "."].append(path.name)
    others = {"" if folder == "." else folder: names for folder, names in folders.items()}
    recorded = manifest(str(archive), files)
    # Nobody may do that now, and nobody would see it.
    (archive / "d" / "a").write_text("9")
    return instance.install(archive, archive_manifest=recorded, others=others)
