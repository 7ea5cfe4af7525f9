# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a YAML 1.1 scalar of an AppSpec file means: the values of the agent's YAML library, not PyYAML's."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec_values import (
    LARGEST_NUMBER_LENGTH,
    DateText,
    OctalInteger,
    Symbol,
    leading_integer,
)

_YAML = "tag:yaml.org,2002:"
TEXT_TAGS = ("!str", "!ruby/string", _YAML + "str")
_BINARY_TAGS = ("!binary", _YAML + "binary")
_FLOAT_TAGS = ("!float", _YAML + "float")
_SYMBOL_TAG = re.compile(r"!ruby/sym(bol)?(:.*)?\Z")

_CONSTANTS = {"": None, "~": None, "null": None, "yes": True, "true": True, "on": True}
_CONSTANTS.update({"no": False, "false": False, "off": False})
_FLOATS = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}

_DATE = re.compile(r"[0-9]{4}-(1[012]|0?[0-9])-([12][0-9]|3[01]|0?[0-9])")
_TIMESTAMP = re.compile(
    r"-?[0-9]{4}(-[0-9]{1,2}){2}([Tt]|\s+)[0-9]{1,2}(:[0-9]{2}){2}(\.[0-9]*)?(\s*(Z|[-+][0-9]{1,2}:?([0-9]{2})?))?"
)
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9]){1,2}(\.[0-9_]*)?")
_FLOAT = re.compile(r"[-+]?([0-9][0-9_,]*)?\.[0-9]*([eE][-+][0-9]+)?")
_OCTAL = re.compile(r"[-+]?0[0-7_,]+")
_DECIMAL = re.compile(r"[-+]?(0|[1-9]([0-9]|[,_][0-9])*)")
_OTHER_BASE = re.compile(r"[-+]?0(b[01_,]*[01][01_,]*|x[0-9a-fA-F_,]*[0-9a-fA-F][0-9a-fA-F_,]*)")
_QUOTED_SYMBOL = re.compile(r""":(["'])(.*)\1""", re.DOTALL)
_SEPARATORS = re.compile(r"[,_]")


def scalar(text: str, tag: str | None, plain: bool) -> Any:
    """Returns the value of a YAML scalar.

    :param text: the scalar's content
    :param tag: its tag in full, None without one
    :param plain: whether it stands without quotes and is no block; only asked without a tag
    :raises ValueError: a number tag on what is none
    """
    if tag is None or tag == "!":
        return plain_scalar(text) if plain else text
    if tag in TEXT_TAGS:
        return text
    if tag in _BINARY_TAGS:
        return _binary(text)
    if tag in _FLOAT_TAGS:
        return _tagged_float(plain_scalar(text))
    if _SYMBOL_TAG.match(tag):
        return Symbol(text)
    return plain_scalar(text)


def plain_scalar(text: str) -> Any:
    """Returns the value of an untagged scalar without quotes: None, boolean, number, date, symbol or text."""
    if "\n" in text or len(text) > LARGEST_NUMBER_LENGTH:
        return text
    lower = text.lower()
    if lower in _CONSTANTS:
        return _CONSTANTS[lower]
    if lower in _FLOATS:
        return _FLOATS[lower]
    if _DATE.fullmatch(text) or _TIMESTAMP.fullmatch(text):
        return DateText(text)
    if text[0] == ":" and len(text) > 1:
        return _symbol(text)
    return _number(text)


def _symbol(text: str) -> Symbol:
    quoted = _QUOTED_SYMBOL.match(text)
    if not quoted:
        return Symbol(text[1:])
    name = quoted.group(2)
    return Symbol(name[1:] if name.startswith(":") else name)


def _number(text: str) -> Any:
    digits = _SEPARATORS.sub("", text)
    try:
        if _SEXAGESIMAL.fullmatch(text):
            return _sexagesimal(text)
        if _FLOAT.fullmatch(text):
            return float(digits)
        if _DECIMAL.fullmatch(text):
            return int(digits)
        if _OCTAL.fullmatch(text):
            return OctalInteger.written(int(digits, 8), digits.lstrip("+-"))
        if _OTHER_BASE.fullmatch(text):
            return int(digits, 0)
    except ValueError:
        pass
    return text


def _sexagesimal(text: str) -> int | float:
    """The first part counts as hours, also when there are only two: the agent's library reads 1:30 as 5400."""
    parts = text.split(":")
    numbers: list[int | float] = [leading_integer(part) or 0 for part in parts]
    if "." in parts[-1]:
        numbers[-1] = float(parts[-1].replace("_", ""))
        numbers[0] = float(numbers[0])
    return sum(number * factor for number, factor in zip(numbers, (3600, 60, 1), strict=False))


def _binary(text: str) -> str:
    try:
        return base64.b64decode(text).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return text


def _tagged_float(value: Any) -> float:
    if value is None or isinstance(value, (bool, Symbol)):
        raise ValueError("not a number")
    try:
        return float(value)
    except OverflowError:
        return float("inf")
