# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads AppSpec files: YAML 1.1 as the agent's library reads it, and as the author meant where that fails."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

import yaml

from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec import (
    AppSpecError,
    AppSpecProblem,
    parse_appspec,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec_values import MISSING, as_text
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._appspec_scalar import TEXT_TAGS, scalar

DEEPEST_NESTING = 100
LARGEST_EXPANSION = 1_000_000

_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NOT_ALLOWED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_SCALAR_OBJECT_TAGS = re.compile(
    r"!(ruby/((regexp|range|class|module|object:(BigDecimal|DateTime|Complex|Rational))\Z|string:)|str:)"
)
_COLLECTION_OBJECT_TAGS = re.compile(
    r"!(ruby/(object(?!:Hash\Z)|struct|exception|range\Z|(array|hash|hash-with-ivars|marshalable|string):)|(map|seq|str):)"
)
_ORDERED_MAPPING_TAGS = ("!omap", "tag:yaml.org,2002:omap")
_SET_TAGS = ("!set", "tag:yaml.org,2002:set")


class _Built(NamedTuple):
    """A value, how many levels of collections it holds and how many characters it takes."""

    value: Any
    height: int
    size: int


def parse_appspec_file(data: bytes) -> dict[str, Any]:
    """Reads and checks an AppSpec file.

    :param data: the content of the file
    :returns: the AppSpec as :func:`parse_appspec` describes it
    :raises AppSpecError: with every problem, or the first syntax error with its line and column
    """
    return parse_appspec(read_appspec(data))


def read_appspec(data: bytes) -> Any:
    """Reads the first YAML document of an AppSpec file.

    :param data: the content of the file; UTF-8, with or without byte order mark
    :returns: the document; None for a file without one
    :raises AppSpecError: a syntax error, with line and column
    """
    text = _decoded(data)
    try:
        return _Composer(yaml.parse(text, Loader=_SafeLoader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(part for part in (error.problem, error.context) if part)
        _fail(reason + "; correct the YAML", mark)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        _fail("the file is not YAML: " + " ".join(str(error).split()), None)


def _decoded(data: bytes) -> str:
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        rule = "the file is not UTF-8; save it in that encoding"
        if data.startswith(_UTF_16):
            rule = "the file is UTF-16; save it as UTF-8"
        _fail_at(data[: error.start].decode("utf-8"), rule)
    found = _NOT_ALLOWED.search(text)
    if found:
        rule = f"the control character U+{ord(found.group()):04X} is not allowed in YAML; remove it"
        _fail_at(text[: found.start()], rule)
    return text


def _fail_at(before: str, rule: str) -> NoReturn:
    lines = _LINE_END.split(before)
    raise AppSpecError([AppSpecProblem(f"line {len(lines)}, column {len(lines[-1]) + 1}", MISSING, rule)])


def _fail(rule: str, mark: Any) -> NoReturn:
    where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "AppSpec file"
    raise AppSpecError([AppSpecProblem(where, MISSING, rule)])


class _Composer:
    """Makes values of YAML events, of the first document only; no more of the file is read."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, _Built | None] = {}
        self._expanded = 0

    def document(self) -> Any:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        built = self._node(next(self._events), 0)
        next(self._events)
        return built.value

    def _node(self, event: Any, depth: int) -> _Built:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            built = self._scalar(event)
        else:
            self._check_tag(event)
            if depth >= DEEPEST_NESTING:
                _fail(f"an AppSpec file is not nested deeper than {DEEPEST_NESTING} levels", event.start_mark)
            built = self._mapping(depth) if isinstance(event, yaml.MappingStartEvent) else self._sequence(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = built
        return built

    def _alias(self, event: Any, depth: int) -> _Built:
        if event.anchor not in self._anchors:
            _fail(f"the alias *{event.anchor} has no anchor before it; add &{event.anchor}", event.start_mark)
        built = self._anchors[event.anchor]
        if built is None:
            _fail(f"the alias *{event.anchor} stands inside its own anchor; write the value out", event.start_mark)
        self._expanded += built.size
        if self._expanded > LARGEST_EXPANSION or depth + built.height > DEEPEST_NESTING:
            _fail("the aliases of the file stand for too much; write the values out", event.start_mark)
        return built

    def _scalar(self, event: Any) -> _Built:
        self._check_tag(event)
        plain = bool(event.implicit[0])
        try:
            value = scalar(event.value, event.tag, plain)
        except ValueError:
            _fail(f"the value is not what its tag {event.tag} says; correct one of them", event.start_mark)
        return _Built(value, 0, len(event.value) + 1)

    def _check_tag(self, event: Any) -> None:
        """Tags that create Ruby objects are refused by the agent as well; other unknown tags mean nothing."""
        tag = event.tag
        if tag is None:
            return
        is_set = tag in _SET_TAGS and isinstance(event, yaml.MappingStartEvent)
        refused = _SCALAR_OBJECT_TAGS if isinstance(event, yaml.ScalarEvent) else _COLLECTION_OBJECT_TAGS
        if is_set or refused.match(tag):
            _fail(f"the tag {tag} is not allowed in an AppSpec file; remove it", event.start_mark)

    def _sequence(self, start: Any, depth: int) -> _Built:
        values: list[Any] = []
        height, size = 0, 1
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            built = self._node(event, depth + 1)
            values.append(built.value)
            height, size = max(height, built.height), size + built.size
        is_mapping = start.tag in _ORDERED_MAPPING_TAGS and all(isinstance(value, dict) for value in values)
        return _Built(_merged(values[::-1]) if is_mapping else values, height + 1, size)

    def _mapping(self, depth: int) -> _Built:
        """The last of two equal keys wins, and a merge key overrides what stands before it, as in the agent."""
        values: dict[Any, Any] = {}
        height, size = 0, 1
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._node(event, depth + 1)
            built = self._node(next(self._events), depth + 1)
            is_merge = key.value == "<<" and getattr(event, "tag", None) not in TEXT_TAGS
            merged = _merged(built.value) if is_merge else None
            if merged is None:
                key = self._key(key, event)
                values[key.value] = built.value
            else:
                values.update(merged)
            height, size = max(height, key.height, built.height), size + key.size + built.size
        return _Built(values, height + 1, size)

    def _key(self, key: _Built, event: Any) -> _Built:
        """A collection as a key is its text, in which the quotes of a key inside it take twice the room each time."""
        if not isinstance(key.value, (list, dict)):
            return key
        text = as_text(key.value)
        self._expanded += len(text)
        if self._expanded > LARGEST_EXPANSION:
            _fail("the keys of the file stand for too much; write plain names", event.start_mark)
        return _Built(text, key.height, len(text))


def _merged(value: Any) -> dict[Any, Any] | None:
    """Returns what a merge key adds, None where it is no mapping or list of mappings."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        return None
    merged: dict[Any, Any] = {}
    for entry in reversed(value):
        merged.update(entry)
    return merged
