# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The SELinux range of ``permissions[].context`` of an AppSpec file."""

from typing import List, Set

HIGHEST_CATEGORY = 1023

FORM = "write sN or sN-sM, then optionally a colon and categories such as c0,c5.c9"
SENSITIVITY = "a sensitivity is s and a number, for example s0"
CATEGORY = "a category is c and a number from 0 to 1023, for example c5"


def parse_range(text: str) -> str:
    """Reads an SELinux range.

    :param text: ``sN[-sM][:categories]``, categories a comma list of ``cN`` and ``cN.cM``
    :returns: the range with numbers without leading zeros and categories sorted and joined
    :raises ValueError: the rule it breaks
    Source: AppSpec 'permissions' section, ``context``, ``range``.
    """
    levels, colon, categories = text.partition(":")
    if not levels or (colon and not categories):
        raise ValueError(FORM)
    low, dash, high = levels.partition("-")
    if dash and not (low and high):
        raise ValueError(FORM)
    result = "s" + _sensitivity(low)
    if dash:
        highest = _sensitivity(high)
        if (len(highest), highest) < (len(result) - 1, result[1:]):
            raise ValueError("the second sensitivity must not be lower than the first")
        if highest != result[1:]:
            result += "-s" + highest
    if colon:
        result += ":" + _joined(_categories(categories))
    return result


def _digits(text: str, letter: str, rule: str) -> str:
    """Numbers stay text: nothing limits their length."""
    digits = text[1:]
    if text[:1] != letter or not digits or set(digits) - set("0123456789"):
        raise ValueError(rule)
    return digits.lstrip("0") or "0"


def _sensitivity(text: str) -> str:
    return _digits(text, "s", SENSITIVITY)


def _category(text: str) -> int:
    digits = _digits(text, "c", CATEGORY)
    if len(digits) > 4 or int(digits) > HIGHEST_CATEGORY:
        raise ValueError(CATEGORY)
    return int(digits)


def _categories(text: str) -> Set[int]:
    """The agent ignores commas at the end."""
    stripped = text.rstrip(",")
    categories: Set[int] = set()
    for part in stripped.split(",") if stripped else []:
        low, dot, high = part.partition(".")
        first = _category(low)
        last = _category(high) if dot else first
        if last < first:
            raise ValueError("a range of categories goes from the lower to the higher, for example c0.c5")
        numbers = range(first, last + 1)
        if not categories.isdisjoint(numbers):
            raise ValueError("a category may be named once only")
        categories.update(numbers)
    return categories


def _joined(categories: Set[int]) -> str:
    runs: List[List[int]] = []
    for category in sorted(categories):
        if runs and category == runs[-1][1] + 1:
            runs[-1][1] = category
        else:
            runs.append([category, category])
    return ",".join("c%d" % low if low == high else "c%d.c%d" % (low, high) for low, high in runs)
