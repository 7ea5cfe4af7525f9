# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which instances the tags of a deployment group select; no input or output."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput

TYPES = ("KEY_ONLY", "VALUE_ONLY", "KEY_AND_VALUE")
# Limits of CreateDeploymentGroup (service reference, section 13).
MOST_FILTERS, MOST_GROUPS, LONGEST_KEY, LONGEST_VALUE = 10, 3, 128, 256
# EC2 takes at most so many values in one filter of a call.
MOST_FILTER_VALUES = 200


@dataclass(frozen=True)
class TagFilter:
    """One filter of the API: V(KEY_ONLY), V(VALUE_ONLY) or V(KEY_AND_VALUE). V(*) in the value matches any text."""

    type: str
    key: str
    value: str

    def matches(self, tags: Mapping[str, str]) -> bool:
        """Whether an instance with these tags is selected."""
        if self.type == "KEY_ONLY":
            return self.key in tags
        pattern = re.compile(".*".join(re.escape(part) for part in self.value.split("*")), re.DOTALL)
        values = tags.values() if self.type == "VALUE_ONLY" else [tags[self.key]] if self.key in tags else []
        return any(pattern.fullmatch(value) for value in values)


@dataclass(frozen=True)
class TagSelection:
    """What a deployment group says of tags: in every one of the groups a filter matches. Without groups: nothing."""

    groups: tuple[tuple[TagFilter, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.groups)

    def matches(self, tags: Mapping[str, str]) -> bool:
        """Whether an instance with these tags is selected."""
        return bool(self.groups) and all(any(one.matches(tags) for one in group) for group in self.groups)


def read_selection(settings: Mapping[str, Any], filters: str, tag_set: str, label: str) -> TagSelection:
    """Read the two ways in which a group selects by tags, as CreateDeploymentGroup takes them.

    :param settings: of the group, in the API's shape in snake_case.
    :param filters: V(ec2_tag_filters) or V(on_premises_instance_tag_filters): a list, one of which must match.
    :param tag_set: V(ec2_tag_set) or V(on_premises_tag_set): lists in C(TAG_SET_list), all of which must match.
    :param label: V(EC2) or V(OnPremises), of the API's names of errors.
    :raises InvalidInput: with the API's code, when it would refuse.
    """
    flat, sets = settings.get(filters) or [], settings.get(tag_set) or []
    if isinstance(sets, Mapping):
        sets = sets.get(f"{tag_set}_list") or []
    if flat and sets:
        raise InvalidInput(
            f"{filters} and {tag_set} exclude each other; write the filters of {filters} as one more list of {tag_set}",
            f"Invalid{label}TagCombination",
        )
    groups = [flat] if flat else sets
    if not isinstance(groups, list) or not all(isinstance(group, list) and group for group in groups):
        raise InvalidInput(f"{tag_set} is a list of lists of filters, none of them empty", _code(label))
    if len(groups) > MOST_GROUPS:
        raise InvalidInput(f"{tag_set} has {len(groups)} lists, {MOST_GROUPS} are allowed", "TagSetListLimitExceeded")
    name = filters if flat else tag_set
    if any(len(group) > MOST_FILTERS for group in groups):
        raise InvalidInput(f"{name} has a list of more than {MOST_FILTERS} filters", "TagLimitExceeded")
    return TagSelection(tuple(tuple(_filter(one, name, label) for one in group) for group in groups))


def _code(label: str) -> str:
    return "InvalidEC2Tag" if label == "EC2" else "InvalidTagFilter"


def _filter(value: Any, name: str, label: str) -> TagFilter:
    if not isinstance(value, Mapping) or {str(key).lower() for key in value} - {"key", "value", "type"}:
        raise InvalidInput(f"{name}: {value!r} is no filter; a filter has key, value and type", _code(label))
    found = {str(name).lower(): item for name, item in value.items() if item is not None}
    # An API's client that leaves the type out means what is there.
    default = "KEY_AND_VALUE" if "value" in found else "KEY_ONLY"
    one = TagFilter(
        str(found.get("type") or (default if "key" in found else "VALUE_ONLY")),
        str(found.get("key", "")),
        str(found.get("value", "")),
    )
    problem = ""
    if one.type not in TYPES:
        problem = f"type {one.type!r} is none of {', '.join(TYPES)}"
    elif one.type != "VALUE_ONLY" and not one.key:
        problem = f"{one.type} needs a key"
    elif one.type != "KEY_ONLY" and "value" not in found:
        problem = f"{one.type} needs a value"
    elif len(one.key) > LONGEST_KEY or len(one.value) > LONGEST_VALUE:
        problem = f"a key has at most {LONGEST_KEY} characters and a value {LONGEST_VALUE}"
    if problem:
        raise InvalidInput(f"{name}: {problem}", _code(label))
    return one


def tags_of(value: Any) -> dict[str, str]:
    """Return tags as a mapping, from one or from the API's list of keys and values; empty for anything else."""
    if isinstance(value, Mapping):
        return {str(key): "" if item is None else str(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        pairs = [{str(name).lower(): item for name, item in one.items()} for one in value if isinstance(one, Mapping)]
        return {str(pair["key"]): str(pair.get("value") or "") for pair in pairs if "key" in pair}
    return {}


def listing_filters(selections: Iterable[TagSelection]) -> list[dict[str, Any]]:
    """Return filters of DescribeInstances that leave out as much as one call can, and nothing that is selected.

    One call cannot say "this key or that value": what it lists is still to be compared with the selections.
    """
    # An instance matches all groups of a selection, so that the narrowest one says enough.
    groups = [min(selection.groups, key=_width) for selection in selections if selection]
    wanted = [one for group in groups for one in group]
    keys = {one.key for one in wanted}
    if not wanted or any(one.type == "VALUE_ONLY" for one in wanted):
        return []
    if len(keys) == 1 and all(one.type == "KEY_AND_VALUE" for one in wanted):
        name, values = f"tag:{wanted[0].key}", {_escaped(one.value) for one in wanted}
    else:
        name, values = "tag-key", {_escaped(key, "*") for key in keys}
    return [{"Name": name, "Values": sorted(values)}] if len(values) <= MOST_FILTER_VALUES else []


def _width(group: Sequence[TagFilter]) -> tuple[bool, int]:
    return any(one.type != "KEY_AND_VALUE" for one in group), len(group)


def _escaped(text: str, more: str = "") -> str:
    """Write a text so that EC2 takes it as it is: V(?) would be any character, and V(*) any text."""
    return re.sub(f"[\\\\?{re.escape(more)}]", lambda found: "\\" + found.group(), text)
