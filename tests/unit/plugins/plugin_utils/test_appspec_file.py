# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the YAML of an AppSpec file means."""

from __future__ import annotations

import codecs
import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec import AppSpecError
from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec_values import (
    DateText,
    OctalInteger,
    Symbol,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._appspec_file import (
    parse_appspec_file,
    read_appspec,
)

HEAD = "version: 0.0\nos: linux\n"


def value(text: str) -> Any:
    """Return what the one value of a document is read as."""
    return read_appspec(f"x: {text}\n".encode())["x"]


def error(data: bytes | str) -> str:
    """Return the text of the error of a file."""
    with pytest.raises(AppSpecError) as caught:
        parse_appspec_file(data.encode() if isinstance(data, str) else data)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("NuLL", None),
        ("yes", True),
        ("True", True),
        ("ON", True),
        ("no", False),
        ("False", False),
        ("off", False),
        ("y", "y"),
        ("n", "n"),
        ("Y", "Y"),
        ("0", 0),
        ("-0", 0),
        ("+5", 5),
        ("1_000", 1000),
        ("1,000", 1000),
        ("1,00,0", 1000),
        ("1__000", "1__000"),
        ("1_", "1_"),
        ("010", 8),
        ("-010", -8),
        ("0_10", 8),
        ("0,", 0),
        ("08", "08"),
        ("0o644", "0o644"),
        ("0x10", 16),
        ("-0x1_0", -16),
        ("0X10", "0X10"),
        ("0x", "0x"),
        ("0b101", 5),
        ("0b2", "0b2"),
        ("0b_", "0b_"),
        ("1:30", 5400),
        ("1:30:15", 5415),
        ("-1:30", -1800),
        ("0:30", 1800),
        ("1_0:30", 37800),
        ("1:60", "1:60"),
        ("1:2:3:4", "1:2:3:4"),
        ("1:30.5", 5430.0),
        ("1e3", "1e3"),
        ("1e+3", "1e+3"),
        ("1.0e3", "1.0e3"),
        ("1.0e+3", 1000.0),
        ("1.e+3", 1000.0),
        ("1,000.5", 1000.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5", -0.5),
        (".", "."),
        ("+.", "+."),
        (".e+3", ".e+3"),
        ("0.0.0", "0.0.0"),
        (".inf", math.inf),
        ("+.INF", math.inf),
        ("-.Inf", -math.inf),
        ("1.0e+400", math.inf),
        ("inf", "inf"),
        ("nan", "nan"),
        ("9" * 5000, "9" * 5000),
        ("<<", "<<"),
        ("=", "="),
        ("'010'", "010"),
        ('"yes"', "yes"),
        ('""', ""),
        ("|\n  010", "010\n"),
        (">\n  yes\n", "yes\n"),
        ("yes\n  yes", "yes yes"),
        ("! 5", 5),
        ("!!str 5", "5"),
        ("!!str", ""),
        ("!!int '010'", 8),
        ("!!int abc", "abc"),
        ("!!bool 'yes'", True),
        ("!!float 5", 5.0),
        ("!!float '1e3'", 1000.0),
        ("!own 5", 5),
        ("!own abc", "abc"),
        ("!own [1]", [1]),
        ("!!python/name:os x", "x"),
        ("!!binary aGk=", "hi"),
        ("!!binary '*'", ""),
        ("!!binary aGk", "aGk"),
        ("!!omap [a: 1, b: 2]", {"a": 1, "b": 2}),
        ("!!omap [1]", [1]),
        ("!ruby/object:Hash {a: 1}", {"a": 1}),
        ("&anchor 5", 5),
    ],
)
def test_value(text: str, wanted: Any) -> None:
    result = value(text)
    assert result == wanted
    assert isinstance(result, type(wanted)) and isinstance(result, bool) == isinstance(wanted, bool)


def test_not_a_number() -> None:
    assert math.isnan(value(".NaN"))


@pytest.mark.parametrize(("text", "digits"), [("0644", "0644"), ("+0_644", "0644"), ("-07", "07"), ("00", "00")])
def test_octal_integers_keep_their_digits(text: str, digits: str) -> None:
    result = value(text)
    assert isinstance(result, OctalInteger)
    assert result.digits == digits


@pytest.mark.parametrize(
    ("text", "name"), [(":x", "x"), ("::x", ":x"), (":'a b'", "a b"), (':":c"', "c"), ("!ruby/sym a", "a")]
)
def test_symbols(text: str, name: str) -> None:
    assert value(text) == Symbol(name)


@pytest.mark.parametrize("text", ["':x'", "a:b", "2020-13-01", "2020-01-01T00:00"])
def test_text(text: str) -> None:
    assert value(text).__class__ is str


@pytest.mark.parametrize(
    "text",
    ["2020-01-01", "2020-1-1", "2020-01-01T00:00:00Z", "2020-01-01 1:00:00.5 +5", "2001-12-14t21:59:43.10-05:00"],
)
def test_dates_are_text(text: str) -> None:
    assert value(text).__class__ is DateText
    assert value(text) == text
    assert value(f"'{text}'") == text and value(f"'{text}'").__class__ is str


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [("0644", "0644"), ("0_755", "0755"), ("04755", "4755"), ("000644", "0644"), ("+0644", "0644"), ("0", "000")],
)
def test_mode_means_what_is_written(mode: str, wanted: str) -> None:
    text = HEAD + f"permissions: [{{object: /a, mode: {mode}}}]"
    assert parse_appspec_file(text.encode())["permissions"][0]["mode"] == wanted


def test_other_octal_integers_keep_their_value() -> None:
    text = HEAD + "hooks: {AfterInstall: [{location: s, timeout: 010}]}"
    assert parse_appspec_file(text.encode())["hooks"]["AfterInstall"][0]["timeout"] == 8


def test_byte_order_mark_is_skipped() -> None:
    assert parse_appspec_file(codecs.BOM_UTF8 + HEAD.encode())["os"] == "linux"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    text = HEAD + "files:\n- source: a\n  destination: /b\n"
    spec = parse_appspec_file(text.replace("\n", end).encode())
    assert spec["files"] == [{"source": "a", "destination": "/b"}]


@pytest.mark.parametrize(
    "rest",
    ["---\nversion: 1\n", "---\n[\n", "...\n--- *none\n", "---\n!!set {a}\n"],
    ids=["wrong", "syntax", "alias", "tag"],
)
def test_only_the_first_document_is_read(rest: str) -> None:
    assert parse_appspec_file((HEAD + rest).encode())["version"] == 0.0


@pytest.mark.parametrize("text", ["", "\n\n", "# comment\n", "---\n", "---\n---\n" + HEAD, "null\n", "false\n", "~"])
def test_empty_file(text: str) -> None:
    assert error(text) == "AppSpec file: the file is empty; it needs at least version and os"


def test_last_of_equal_keys_wins() -> None:
    assert value("{a: 1, b: 2, a: 3}") == {"a": 3, "b": 2}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{<<: {a: 1, b: 2}, a: 3}", {"a": 3, "b": 2}),
        ("{a: 3, <<: {a: 1, b: 2}}", {"a": 1, "b": 2}),
        ("{'<<': {a: 1}}", {"a": 1}),
        ("{<<: [{a: 1}, {a: 2, b: 3}]}", {"a": 1, "b": 3}),
        ("{!!str <<: {a: 1}}", {"<<": {"a": 1}}),
        ("{<<: 5}", {"<<": 5}),
        ("{<<: [1]}", {"<<": [1]}),
        ("[&m {a: 1}, {<<: *m, b: 2}]", [{"a": 1}, {"a": 1, "b": 2}]),
        ("[&m [{a: 1}, {a: 2}], {<<: *m}]", [[{"a": 1}, {"a": 2}], {"a": 1}]),
    ],
)
def test_merge_keys(text: str, wanted: Any) -> None:
    assert value(text) == wanted


def test_aliases() -> None:
    assert value("[&a 1, &b {c: *a}, *b, &a 2, *a]") == [1, {"c": 1}, {"c": 1}, 2, 2]
    assert value("{&k a: 1, b: *k}") == {"a": 1, "b": "a"}


def test_collections_as_keys() -> None:
    assert value("{? [a, {b: 1}] : c, 1: d, ~: e}") == {'["a", {"b"=>1}]': "c", 1: "d", None: "e"}


@pytest.mark.parametrize(
    "text",
    ["!ruby/object:Object {}", "!ruby/object {}", "!ruby/struct:A {}", "!ruby/regexp /a/", "!ruby/range 1..2"]
    + ["!ruby/array:A [1]", "!ruby/class String", "!map:A {}", "!seq:A []", "!str:A x", "!!set {a, b}"],
)
def test_tags_of_ruby_objects_are_refused(text: str) -> None:
    message = error(HEAD + "x: " + text)
    assert message.startswith("line 3, column 4: the tag ")
    assert message.endswith(" is not allowed in an AppSpec file; remove it")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (HEAD + "x: [1]]", "line 3, column 7: "),
        (HEAD + "hooks:\n\tAfterInstall:\n", "line 4, column 1: found character"),
        (HEAD + "files:\n  - source: %a\n", "line 4, column 13: found character"),
        (HEAD + "x: a\x01b\n", "line 3, column 5: the control character U+0001 is not allowed in YAML; remove it"),
        (HEAD.replace("\n", "\r") + "é\x7f", "line 3, column 2: the control character U+007F is not allowed"),
        (HEAD.encode() + "# Ä\nx: ".encode() + b"\xe9\n", "line 4, column 4: the file is not UTF-8; save it in that"),
        (HEAD.encode("utf-16"), "line 1, column 1: the file is UTF-16; save it as UTF-8"),
        (HEAD + "x: *none", "line 3, column 4: the alias *none has no anchor before it; add &none"),
        (HEAD + "x: &a [*a]", "line 3, column 8: the alias *a stands inside its own anchor"),
        (HEAD + "x: !!float abc", "line 3, column 4: the value is not what its tag"),
        (HEAD + "x: !!float true", "line 3, column 4: the value is not what its tag"),
        (HEAD + "x: !no!tag 5", "line 3, column 4: found undefined tag handle"),
        ("- a\n", 'AppSpec file: ["a"]: the file must be a mapping with the keys version and os'),
    ],
    ids=lambda parameter: None if isinstance(parameter, str) and "\n" not in parameter else "data",
)
def test_errors_say_where(data: bytes | str, message: str) -> None:
    assert error(data).startswith(message)


def test_problems_are_reported_together() -> None:
    lines = error("os: Linux\npermissions: [{object: /a, mode: 08}]\n").split("\n")
    assert [line.split(":")[0] for line in lines] == ["version", "os", "permissions[0].mode"]


def test_deep_nesting_is_an_error() -> None:
    assert "not nested deeper than 100 levels" in error(HEAD + "x: " + "[" * 100_000)
    assert "not nested deeper than 100 levels" in error(HEAD + "x: " + "{a: " * 100_000)
    assert value("[" * 90 + "]" * 90)


@pytest.mark.parametrize("key", ["x", "hooks", "files", "permissions"])
def test_alias_bombs_are_errors(key: str) -> None:
    bomb = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
    names = "abcdefghijkl"
    for inner, outer in zip(names, names[1:], strict=False):
        bomb += f"{outer}: &{outer} [{', '.join(['*' + inner] * 10)}]\n"
    assert "the aliases of the file stand for too much" in error(HEAD + bomb + f"{key}: *l\n")


def test_aliases_of_long_texts_are_errors() -> None:
    text = f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 100)}]\n"
    assert "the aliases of the file stand for too much" in error(HEAD + text)


def test_aliases_do_not_hide_depth() -> None:
    text = f"a: &a {'[' * 60}{']' * 60}\nb: {'[' * 60}*a{']' * 60}\n"
    assert "the aliases of the file stand for too much" in error(HEAD + text)


def check_outcome(data: bytes) -> None:
    """Read a file: JSON can carry the spec, or the error has one printable line for each problem."""
    try:
        spec = parse_appspec_file(data)
    except AppSpecError as caught:
        assert caught.errors
        assert all(str(problem).isprintable() for problem in caught.errors)
    else:
        assert json.loads(json.dumps(spec, allow_nan=False)) == spec


@given(st.binary())
@example(codecs.BOM_UTF8 * 2)
@example(b'x: "\\ud800"')
@example(b'x: "\\UFFFFFFFF"')
@example(b"x: !ruby/object:%0Aa%FF {}")
@example(b"%YAML 9.9\n---\n")
def test_any_bytes_are_a_spec_or_an_error(data: bytes) -> None:
    check_outcome(data)


PIECES = st.sampled_from(
    [HEAD, "hooks:", "files:", "permissions:", " AfterInstall:", " - location: s", "   timeout: ", "- source: /", "  "]
    + [
        "destination: /b",
        "- object: /a",
        "  mode: 0644",
        "  acls: [u:bob:r]",
        "  context: {type: t}",
        "\n",
        "\t",
        "---",
    ]
    + [
        "[",
        "]",
        "{",
        "}",
        ",",
        ": ",
        "- ",
        "? ",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "!!float ",
        "!ruby/sym ",
        "|\n",
        ">-\n",
    ]
    + ["'", '"', "#", "%", "@", "1:30", "010", ".inf", "2020-01-01", ":x", "~", "yes", "é", "\u2028", "\x85", "\r"]
)


@given(st.lists(PIECES, max_size=30))
def test_any_yaml_is_a_spec_or_an_error(pieces: list[str]) -> None:
    check_outcome("".join(pieces).encode())


@given(st.lists(PIECES, max_size=10))
def test_anything_after_a_right_head_is_a_spec_or_an_error(pieces: list[str]) -> None:
    check_outcome((HEAD + "".join(pieces)).encode())


def test_keys_within_keys_cannot_fill_the_memory() -> None:
    nested = "a"
    for _level in range(40):
        nested = f"{{? {nested} : b}}"
    assert "the keys of the file stand for too much" in error(nested)


def test_a_small_collection_may_be_a_key() -> None:
    assert read_appspec(b"{? {? [a] : b} : c}") == {'{"[\\"a\\"]"=>"b"}': "c"}
