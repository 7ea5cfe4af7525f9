# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the AppSpec grammar one by one, on documents as a YAML reader returns them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec import (
    AppSpecError,
    check_operating_system,
    parse_appspec,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec_values import (
    MISSING,
    DateText,
    OctalInteger,
    Symbol,
)


def document(**sections: Any) -> dict[Any, Any]:
    """Return a right document with these sections besides."""
    return {"version": 0.0, "os": "linux", **sections}


def script(**keys: Any) -> dict[str, Any]:
    """Return the one script of a parsed document whose script has these keys besides its location."""
    spec = parse_appspec(document(hooks={"AfterInstall": [{"location": "s.sh", **keys}]}))
    return spec["hooks"]["AfterInstall"][0]


def permission(**keys: Any) -> dict[str, Any]:
    """Return the one permission of a parsed document whose permission has these keys besides its object."""
    return parse_appspec(document(permissions=[{"object": "/a", **keys}]))["permissions"][0]


def problems(value: Any) -> list[tuple[str, Any]]:
    """Return key path and value of every problem of a document."""
    with pytest.raises(AppSpecError) as caught:
        parse_appspec(value)
    assert str(caught.value) == "\n".join(str(problem) for problem in caught.value.errors)
    assert len(str(caught.value).split("\n")) == len(caught.value.errors)
    return [(problem.key_path, problem.value) for problem in caught.value.errors]


def test_defaults() -> None:
    assert parse_appspec(document()) == {
        "version": 0.0,
        "os": "linux",
        "file_exists_behavior": None,
        "hooks": {},
        "files": [],
        "permissions": [],
    }
    assert script() == {"location": "s.sh", "timeout": 3600, "runas": None, "sudo": None}
    assert permission() == {
        "object": "/a",
        "pattern": "**",
        "except": [],
        "type": ["file", "directory"],
        "owner": None,
        "group": None,
        "mode": None,
        "acls": None,
        "context": None,
    }


@pytest.mark.parametrize("value", [None, False])
def test_empty_document(value: Any) -> None:
    assert problems(value) == [("AppSpec file", MISSING)]


@pytest.mark.parametrize("value", [True, "version", 0, 0.0, [], [document()], Symbol("version")])
def test_document_is_no_mapping(value: Any) -> None:
    assert problems(value) == [("AppSpec file", value)]


def test_all_problems_are_reported_together() -> None:
    wrong = {
        "version": "0.0",
        "os": "Linux",
        "file_exists_behavior": "retain",
        "hooks": {"AfterInstall": [{"timeout": 0}, {"location": "s", "timeout": True}], "ApplicationStart": "s"},
        "files": [{"source": "a"}, "b"],
        "permissions": [
            {"mode": "u+x"},
            {"object": "/a", "mode": "999", "acls": ["u:bob", "u::r"], "type": ["link"], "context": {"range": "0"}},
        ],
    }
    assert problems(wrong) == [
        ("version", "0.0"),
        ("os", "Linux"),
        ("hooks.AfterInstall[0].location", MISSING),
        ("hooks.AfterInstall[0].timeout", 0),
        ("hooks.AfterInstall[1].timeout", True),
        ("hooks.ApplicationStart", "s"),
        ("files[0].destination", MISSING),
        ("files[1]", "b"),
        ("permissions[0].object", MISSING),
        ("permissions[0].mode", "u+x"),
        ("permissions[1].type[0]", "link"),
        ("permissions[1].mode", "999"),
        ("permissions[1].acls[0]", "u:bob"),
        ("permissions[1].acls[1]", "u::r"),
        ("permissions[1].context.type", MISSING),
        ("permissions[1].context.range", "0"),
        ("file_exists_behavior", "retain"),
    ]


def test_problem_text_has_key_value_and_rule() -> None:
    wrong = document(permissions=[{"object": "/a"}, {"object": "/b", "mode": "u+x"}], hooks={"AfterInstall": [{}]})
    with pytest.raises(AppSpecError) as caught:
        parse_appspec(wrong)
    assert str(caught.value).split("\n") == [
        "hooks.AfterInstall[0].location: this is required; name the script by its path in the bundle",
        'permissions[1].mode: "u+x": a mode is one to four digits from 0 to 7; write for example 644 or 4755',
    ]


def test_problem_text_shows_what_terminals_do_not() -> None:
    with pytest.raises(AppSpecError) as caught:
        parse_appspec(document(hooks={"After\nInstall": 5}))
    assert str(caught.value) == "hooks.After\\nInstall: 5: this is a list; start each of its entries with a dash"


def test_problem_text_is_one_short_printable_line() -> None:
    with pytest.raises(AppSpecError) as caught:
        parse_appspec(document(os="a\nb\u2028\u202e" + "x" * 500))
    assert str(caught.value).startswith("os: ")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [0, 0.0, -0.0, OctalInteger.written(0, "00")])
def test_version(value: Any) -> None:
    assert parse_appspec(document(version=value))["version"] == 0


@pytest.mark.parametrize("value", [None, False, True, "0.0", 1, 0.1, float("nan"), [0.0], {}, Symbol("0.0")])
def test_wrong_version(value: Any) -> None:
    assert [path for path, _value in problems(document(version=value))] == ["version"]


@pytest.mark.parametrize("value", [None, "Linux", " linux", "", ["linux"], Symbol("linux"), 1])
def test_wrong_os(value: Any) -> None:
    assert problems(document(os=value)) == [("os", value)]


def test_windows_is_read_and_refused_for_linux() -> None:
    spec = parse_appspec({"version": 0.0, "os": "windows", "files": [{"source": "\\", "destination": "c:\\temp"}]})
    assert spec["os"] == "windows"
    assert [(problem.key_path, problem.value) for problem in check_operating_system(spec)] == [("os", "windows")]
    assert check_operating_system(parse_appspec(document())) == []


def test_windows_has_no_permissions() -> None:
    assert problems({"version": 0.0, "os": "windows", "permissions": [{"object": "c:\\a"}]}) == [
        ("permissions", MISSING)
    ]


@pytest.mark.parametrize("value", [None, "DISALLOW", "OVERWRITE", "RETAIN"])
def test_file_exists_behavior(value: Any) -> None:
    assert parse_appspec(document(file_exists_behavior=value))["file_exists_behavior"] == value


@pytest.mark.parametrize("value", ["retain", "", False, "OVERWRITE ", ["RETAIN"], Symbol("RETAIN"), 0])
def test_wrong_file_exists_behavior(value: Any) -> None:
    assert problems(document(file_exists_behavior=value)) == [("file_exists_behavior", value)]


def test_unknown_keys_are_ignored() -> None:
    extra = {"Files": 5, "x": {}, 1: 2, Symbol("os"): "windows"}
    entry = {"source": "a", "destination": "/b", "Mode": 1}
    assert parse_appspec(document(files=[entry], **{"Hooks": []}) | extra) == {
        **parse_appspec(document()),
        "files": [{"source": "a", "destination": "/b"}],
    }
    assert "Timeout" not in script(Timeout=0)
    assert "Owner" not in permission(Owner="bob")


@pytest.mark.parametrize("section", ["files", "permissions"])
@pytest.mark.parametrize("value", [None, False, {}, []])
def test_empty_section(section: str, value: Any) -> None:
    assert parse_appspec(document(**{section: value}))[section] == []


@pytest.mark.parametrize("section", ["files", "permissions"])
@pytest.mark.parametrize("value", [True, "", "a", 0, 5, 1.5, {"a": "b"}, Symbol("a")])
def test_section_is_no_list(section: str, value: Any) -> None:
    assert problems(document(**{section: value})) == [(section, value)]


@pytest.mark.parametrize("section", ["files", "permissions"])
@pytest.mark.parametrize("value", [None, False, "a", 5, [], ["a", "b"]])
def test_entry_is_no_mapping(section: str, value: Any) -> None:
    assert problems(document(**{section: [value]})) == [(section + "[0]", value)]


@pytest.mark.parametrize("value", ["", " a ", 1, 1.5, False, "~/x", "../x"])
def test_files_are_taken_as_they_are(value: Any) -> None:
    files = [{"source": value, "destination": value}]
    assert parse_appspec(document(files=files))["files"] == files


def test_files_that_are_no_plain_data() -> None:
    files = [{"source": Symbol("a"), "destination": [OctalInteger.written(8, "010"), {Symbol("b"): float("inf")}]}]
    parsed = parse_appspec(document(files=files))["files"]
    assert json.dumps(parsed) == '[{"source": "a", "destination": [8, {"b": "Infinity"}]}]'


@pytest.mark.parametrize("value", [None, False, {}])
def test_no_hooks(value: Any) -> None:
    assert parse_appspec(document(hooks=value))["hooks"] == {}


@pytest.mark.parametrize("value", [True, [], ["AfterInstall"], "x", 5])
def test_hooks_are_no_mapping(value: Any) -> None:
    assert problems(document(hooks=value)) == [("hooks", value)]


@pytest.mark.parametrize(("value", "wanted"), [(None, {}), (False, {}), ([], {"Any": []}), ({}, {"Any": []})])
def test_event_without_scripts(value: Any, wanted: Any) -> None:
    assert parse_appspec(document(hooks={"Any": value}))["hooks"] == wanted


@pytest.mark.parametrize("value", [True, "s.sh", 5, {"location": "s.sh"}])
def test_scripts_are_no_list(value: Any) -> None:
    assert problems(document(hooks={"Any": value})) == [("hooks.Any", value)]


@pytest.mark.parametrize(
    ("event", "name"), [("Own", "Own"), (1, "1"), (True, "true"), (None, ""), (1.0, "1.0"), (Symbol("a"), "a")]
)
def test_any_event_name(event: Any, name: str) -> None:
    assert list(parse_appspec(document(hooks={event: [{"location": "s"}]}))["hooks"]) == [name]


@pytest.mark.parametrize(
    ("value", "text"), [(" s.sh\n", "s.sh"), (5, "5"), (True, "true"), (Symbol("x"), "x"), (["a"], '["a"]')]
)
def test_location(value: Any, text: str) -> None:
    assert script(location=value)["location"] == text


@pytest.mark.parametrize("value", [None, "", " \t\n"])
def test_wrong_location(value: Any) -> None:
    hooks = {"AfterInstall": [{"location": value}]}
    assert problems(document(hooks=hooks)) == [("hooks.AfterInstall[0].location", value)]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 3600),
        (False, 3600),
        (1, 1),
        (6000, 6000),
        (1.9, 1),
        ("10", 10),
        ("10s", 10),
        (" 7 ", 7),
        ("1_0", 10),
        ("+5", 5),
        ("1e3", 1),
        (OctalInteger.written(8, "010"), 8),
    ],
)
def test_timeout(value: Any, seconds: int) -> None:
    assert script(timeout=value)["timeout"] == seconds


@pytest.mark.parametrize(
    "value",
    [0, -1, 0.5, True, "", "abc", "0x10", "- 5", "_1", [5], {}, Symbol("5"), DateText("2020-01-01"), float("inf")]
    + [float("nan"), "9" * 5000],
)
def test_wrong_timeout(value: Any) -> None:
    with pytest.raises(AppSpecError) as caught:
        script(timeout=value)
    assert [problem.key_path for problem in caught.value.errors] == ["hooks.AfterInstall[0].timeout"]


@pytest.mark.parametrize(
    ("value", "text"), [(None, None), ("", ""), (" web ", "web"), (0, "0"), (False, "false"), (True, "true")]
)
def test_runas(value: Any, text: Any) -> None:
    assert script(runas=value)["runas"] == text


@pytest.mark.parametrize("value", [None, True, False, 0, 1, "false", "n", ""])
def test_sudo_is_taken_as_it_is(value: Any) -> None:
    assert script(sudo=value)["sudo"] is value


@pytest.mark.parametrize("value", [None, "", "  "])
def test_wrong_object(value: Any) -> None:
    assert problems(document(permissions=[{"object": value}])) == [("permissions[0].object", value)]


def test_object_is_trimmed() -> None:
    assert parse_appspec(document(permissions=[{"object": " /a b "}]))["permissions"][0]["object"] == "/a b"


@pytest.mark.parametrize(
    ("value", "wanted"), [(None, "**"), (False, "**"), ("", ""), ("*.sh", "*.sh"), (5, 5), (True, True)]
)
def test_pattern(value: Any, wanted: Any) -> None:
    assert permission(pattern=value)["pattern"] == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(None, []), (False, []), ([], []), ({}, []), (["a", 5, None], ["a", 5, None]), ({"a": 1}, [["a", 1]])],
)
def test_except(value: Any, wanted: Any) -> None:
    assert permission(**{"except": value})["except"] == wanted


@pytest.mark.parametrize("value", ["a", "", 5, True])
def test_wrong_except(value: Any) -> None:
    assert problems(document(permissions=[{"object": "/a", "except": value}])) == [("permissions[0].except", value)]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(None, ["file", "directory"]), (False, ["file", "directory"]), ([], []), (["file", "file"], ["file", "file"])],
)
def test_type(value: Any, wanted: Any) -> None:
    assert permission(type=value)["type"] == wanted


@pytest.mark.parametrize("value", ["file", {"file": 1}, True, 5])
def test_type_is_no_list(value: Any) -> None:
    assert problems(document(permissions=[{"object": "/a", "type": value}])) == [("permissions[0].type", value)]


@pytest.mark.parametrize("value", ["File", "link", None, 1, Symbol("file")])
def test_wrong_type(value: Any) -> None:
    wrong = document(permissions=[{"object": "/a", "type": ["file", value]}])
    assert problems(wrong) == [("permissions[0].type[1]", value)]


@pytest.mark.parametrize("key", ["owner", "group"])
@pytest.mark.parametrize("value", [None, "", "bob", " bob ", 65534, ["a"], False])
def test_owner_and_group_are_taken_as_they_are(key: str, value: Any) -> None:
    assert permission(**{key: value})[key] == value


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        (None, None),
        (644, "644"),
        ("0644", "0644"),
        (4755, "4755"),
        (4, "004"),
        (0, "000"),
        ("", "000"),
        (511, "511"),
        (Symbol("644"), "644"),
        (OctalInteger.written(0o644, "0644"), "0644"),
        (OctalInteger.written(0o4755, "04755"), "4755"),
        (OctalInteger.written(0o644, "000644"), "0644"),
        (OctalInteger.written(0o7, "07"), "007"),
        (OctalInteger.written(0, "000"), "000"),
    ],
)
def test_mode(value: Any, mode: Any) -> None:
    assert permission(mode=value)["mode"] == mode


@pytest.mark.parametrize(
    "value",
    ["04755", "0o644", "u+x", "-644", -644, 999, 8, 10644, 1.5, 644.0, "644 ", True, False, [644], {}]
    + [OctalInteger.written(-0o644, "0644"), OctalInteger.written(0o10644, "010644"), "٦٤٤"],
)
def test_wrong_mode(value: Any) -> None:
    assert problems(document(permissions=[{"object": "/a", "mode": value}])) == [("permissions[0].mode", value)]


@pytest.mark.parametrize(
    ("value", "wanted"), [(None, None), ([], []), ({}, []), (["bob:7", "m::r"], ["user:bob:rwx", "mask::r--"])]
)
def test_acls(value: Any, wanted: Any) -> None:
    assert permission(acls=value)["acls"] == wanted


@pytest.mark.parametrize("value", ["u:bob:r", False, 5, {"a": "b"}])
def test_acls_are_no_list(value: Any) -> None:
    assert problems(document(permissions=[{"object": "/a", "acls": value}])) == [("permissions[0].acls", value)]


@pytest.mark.parametrize("value", [5, None, ["a"], Symbol("u:bob:r"), "u:bob:8"])
def test_wrong_acl(value: Any) -> None:
    assert problems(document(permissions=[{"object": "/a", "acls": [value]}])) == [("permissions[0].acls[0]", value)]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, None),
        ({"type": "t"}, {"user": None, "type": "t", "range": None}),
        ({"type": "", "role": "r"}, {"user": None, "type": "", "range": None}),
        ({"name": "n", "type": "t", "range": "s01"}, {"user": "n", "type": "t", "range": "s1"}),
        ({"user": "u", "type": "t"}, {"user": "u", "type": "t", "range": None}),
        ({"user": "u", "name": "n", "type": "t"}, {"user": "n", "type": "t", "range": None}),
    ],
)
def test_context(value: Any, wanted: Any) -> None:
    assert permission(context=value)["context"] == wanted


@pytest.mark.parametrize("value", [False, 5, "t", [], ["type"]])
def test_context_is_no_mapping(value: Any) -> None:
    assert problems(document(permissions=[{"object": "/a", "context": value}])) == [("permissions[0].context", value)]


@pytest.mark.parametrize(
    ("value", "wrong"),
    [({}, ("type", MISSING)), ({"type": None}, ("type", None)), ({"type": "t", "range": 5}, ("range", 5))],
)
def test_wrong_context(value: Any, wrong: tuple[str, Any]) -> None:
    path, bad = wrong
    assert problems(document(permissions=[{"object": "/a", "context": value}])) == [
        ("permissions[0].context." + path, bad)
    ]


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.builds(Symbol, st.text(max_size=4))
    | st.builds(DateText, st.text(max_size=4))
    | st.builds(lambda number: OctalInteger.written(number, f"0{abs(number):o}"), st.integers())
    | st.sampled_from(["linux", "windows", "DISALLOW", "file", "u:bob:rw", "d:o::r", "s0-s3:c1.c5", "0644", 0, 0.0])
)
KEYS = st.sampled_from(
    ["version", "os", "hooks", "files", "permissions", "file_exists_behavior", "AfterInstall", "location", "timeout"]
    + ["runas", "sudo", "source", "destination", "object", "pattern", "except", "type", "owner", "group", "mode"]
    + ["acls", "context", "name", "user", "range"]
)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | SCALARS, inner, max_size=4)
)


def check_outcome(value: Any) -> None:
    """Read a document: JSON can carry the spec, or the error has one printable line for each problem."""
    try:
        spec = parse_appspec(value)
    except AppSpecError as error:
        assert error.errors
        assert len(str(error).split("\n")) == len(error.errors)
        assert all(str(problem).isprintable() for problem in error.errors)
    else:
        assert json.loads(json.dumps(spec, allow_nan=False)) == spec


@given(DOCUMENTS)
def test_any_document_is_a_spec_or_an_error(value: Any) -> None:
    check_outcome(value)


@given(
    st.fixed_dictionaries(
        {"version": st.just(0.0), "os": st.just("linux")},
        optional={
            "hooks": st.dictionaries(SCALARS, st.lists(st.dictionaries(KEYS, SCALARS)), max_size=2),
            "files": st.lists(st.dictionaries(KEYS, SCALARS), max_size=2),
            "permissions": st.lists(st.dictionaries(KEYS, SCALARS | st.lists(SCALARS, max_size=2)), max_size=2),
            "file_exists_behavior": SCALARS,
        },
    )
)
def test_any_sections_are_a_spec_or_an_error(value: Any) -> None:
    check_outcome(value)


def test_the_problems_of_a_file_are_no_more_than_can_be_read() -> None:
    found = problems(document(hooks={"x" * 100_000: list(range(10_000))}))
    assert len(found) == 100
    assert all(len(path) < 100 for path, _value in found)
