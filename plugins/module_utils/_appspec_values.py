# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values of an AppSpec file: what a YAML value may be besides plain data, and its text."""

import json
import math
import re
from typing import Any, Optional

BLANKS = "\0\t\n\v\f\r "
SHOWN_LENGTH = 80
LARGEST_NUMBER_LENGTH = 1000

_LEADING_INTEGER = re.compile(r"[\t\n\v\f\r ]*([+-]?[0-9]+(?:_[0-9]+)*)")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class Missing(object):
    """Stands for the value of a key that is not there."""


MISSING = Missing()


class Symbol(object):
    """A plain YAML scalar that starts with a colon; the agent does not take it for text.

    :param name: the text after the colon
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbol) and other.name == self.name

    def __hash__(self) -> int:
        return hash((Symbol, self.name))

    def __repr__(self) -> str:
        return "Symbol(%r)" % self.name


class DateText(str):
    """The text of a plain YAML date or timestamp."""


class OctalInteger(int):
    """An integer that was written with a leading zero; ``digits`` is what was written, without sign and separators."""

    digits = ""

    @classmethod
    def written(cls, value: int, digits: str) -> "OctalInteger":
        """Returns the integer ``value`` that was written as ``digits``."""
        number = cls(value)
        number.digits = digits
        return number


def as_text(value: Any) -> str:
    """Returns the text the agent makes of a value where an AppSpec asks for text, as ``location`` does."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Symbol):
        return value.name
    if value is None:
        return ""
    return _inspect(value)


def stripped(value: Any) -> str:
    """Returns the text of a value without blanks around it."""
    return as_text(value).strip(BLANKS)


def as_data(value: Any) -> Any:
    """Returns a value as JSON can carry it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (str, Symbol)):
        return as_text(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return value if value - value == 0 else _inspect(value)
    if isinstance(value, dict):
        return {as_text(key): as_data(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_data(entry) for entry in value]
    return str(value)


def leading_integer(text: str) -> Optional[int]:
    """Returns the integer a text begins with, 0 if it begins with none, None if it is too long to be a number."""
    found = _LEADING_INTEGER.match(text)
    if not found:
        return 0
    digits = found.group(1).replace("_", "")
    return int(digits) if len(digits) <= LARGEST_NUMBER_LENGTH else None


def shown(value: Any) -> str:
    """Returns a value for an error message: on one line, printable, not longer than 80 characters."""
    if isinstance(value, OctalInteger):
        return value.digits
    text = ":" + value.name if isinstance(value, Symbol) else json.dumps(as_data(value), ensure_ascii=False)
    text = printable(text)
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 3] + "..."


def printable(text: str) -> str:
    """Returns a text on one line, with escapes for what a terminal would not show."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _inspect(value: Any) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, Symbol):
        return ":" + value.name
    if isinstance(value, dict):
        return "{%s}" % ", ".join("%s=>%s" % (_inspect(key), _inspect(entry)) for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(_inspect(entry) for entry in value)
    return '"%s"' % "".join(_ESCAPES.get(character, character) for character in str(value))


def _float_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if value - value != 0:
        return "Infinity" if value > 0 else "-Infinity"
    text = repr(float(value))
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return text
