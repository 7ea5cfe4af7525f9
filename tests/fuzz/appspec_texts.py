# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AppSpec files of any bytes: each is a parsed AppSpec or an AppSpecError, in room and time that its length bounds."""

from __future__ import annotations

import json
from pathlib import Path

import collection_loader
from hypothesis import strategies as st

from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec import (
    MOST_PROBLEMS,
    AppSpecError,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._appspec_file import (
    LARGEST_EXPANSION,
    parse_appspec_file,
)

LONGEST_PROBLEM = 2000
# A character may take six in JSON, and aliases may be used up to the limit for the whole file.
LONGEST_RESULT = 12

WORDS = (
    "version: 0.0|os: linux|os: windows|files:|hooks:|permissions:|file_exists_behavior: |source: |destination: "
    "|location: |timeout: |runas: |sudo: |object: |pattern: |except: |type: |owner: |group: |mode: |acls: |context: "
    "|name: |range: |user: |AfterInstall:|- |  |\n|\n  - |\n    |: |? |[|]|{|}|, |&a |*a|&b |*b|<<: *a|<<: [*a, *b]"
    "|!!binary |!!omap |!!set |!!float |!!str |!ruby/object:Gem |!ruby/sym |--- |\n...\n|%YAML 1.1\n---\n|# |'|\""
    '|\\u0000|\\ud800|\\x85|"\\0"|:symbol|0644|0x1F|0b11|1:30|1_000|1e9|.inf|-.nan|~|null|yes|2001-01-01|s0:c0.c255'
    "|d:u:bob:rwx|default:mask::7|| >|-\n|\t|\u2028|\ufeff|/|..|~root|\x7f|é|{? {? [a] : b} : c}"
).split("|")


def check(data: bytes) -> None:
    """Read a file; fail for any other end than a parsed AppSpec or an AppSpecError of bounded size."""
    try:
        spec = parse_appspec_file(data)
    except AppSpecError as error:
        assert 0 < len(error.errors) <= MOST_PROBLEMS
        assert len(str(error)) <= MOST_PROBLEMS * LONGEST_PROBLEM
        str(error).encode("utf-8")
        return
    text = json.dumps(spec)
    assert json.loads(text) == spec
    assert len(text) <= LONGEST_RESULT * (LARGEST_EXPANSION + len(data))


def nested(opening: str, closing: str, depth: int) -> bytes:
    """Return a file that is nested as deep as wanted."""
    return b"hooks: " + opening.encode() * depth + b"a" + closing.encode() * depth + b"\n"


def alias_bomb(levels: int, width: int) -> bytes:
    """Return a file whose aliases stand for width to the power of levels values."""
    lines = ["a0: &a0 [x, y]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]")
    return ("\n".join(lines) + f"\nversion: 0.0\nos: linux\nhooks: *a{levels - 1}\n").encode()


def texts() -> st.SearchStrategy[bytes]:
    """Return files of AppSpec words, of a right file with a part replaced, of deep nesting, and of bytes."""
    words = st.lists(st.sampled_from(WORDS), max_size=40).map("".join)
    right = "version: 0.0\nos: linux\n"
    changed = st.tuples(st.sampled_from(seeds()), st.integers(0, 2000), st.integers(0, 30), st.binary(max_size=20)).map(
        lambda parts: parts[0][: parts[1]] + parts[3] + parts[0][parts[1] + parts[2] :]
    )
    brackets = st.sampled_from([("[", "]"), ("{a: ", "}"), ("{? ", " : b}"), ("- ", ""), ("? ", "\n"), ("{? [", "]}")])
    deep = st.tuples(brackets, st.integers(0, 2000)).map(lambda parts: nested(*parts[0], parts[1]))
    bombs = st.tuples(st.integers(1, 60), st.integers(1, 12)).map(lambda parts: alias_bomb(*parts))
    return st.one_of(words.map(lambda text: (right + text).encode()), changed, deep, bombs, st.binary(max_size=200))


def seeds() -> list[bytes]:
    """Return AppSpec files to begin with: those of the conformance tests."""
    recorded = Path(collection_loader.CHECKOUT) / "tests" / "conformance" / "appspec-parse.json"
    return [case["text"].encode() for case in json.loads(recorded.read_bytes()) if "text" in case]
