# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tags select which instances, and what the API would refuse."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_tags import (
    TYPES,
    TagFilter,
    TagSelection,
    listing_filters,
    read_selection,
    tags_of,
)

WEB = {"App": "HollowWeb", "Stage": "production", "Note": ""}


def select(**group):
    return read_selection(group, "ec2_tag_filters", "ec2_tag_set", "EC2")


@pytest.mark.parametrize(
    ("one", "matches"),
    [
        ({"key": "App", "type": "KEY_ONLY"}, True),
        ({"key": "app", "type": "KEY_ONLY"}, False),
        ({"key": "Ap*", "type": "KEY_ONLY"}, False),
        ({"value": "HollowWeb", "type": "VALUE_ONLY"}, True),
        ({"value": "hollowweb", "type": "VALUE_ONLY"}, False),
        ({"value": "*duct*", "type": "VALUE_ONLY"}, True),
        ({"key": "App", "value": "HollowWeb", "type": "KEY_AND_VALUE"}, True),
        ({"key": "App", "value": "production", "type": "KEY_AND_VALUE"}, False),
        ({"key": "App", "value": "H*b", "type": "KEY_AND_VALUE"}, True),
        ({"key": "App", "value": "H.*b", "type": "KEY_AND_VALUE"}, False),
        ({"key": "App", "value": "HollowWe?", "type": "KEY_AND_VALUE"}, False),
        ({"key": "Note", "value": "", "type": "KEY_AND_VALUE"}, True),
        ({"Key": "App", "Value": "HollowWeb", "Type": "KEY_AND_VALUE"}, True),
        ({"key": "App", "value": "HollowWeb"}, True),
        ({"key": "App"}, True),
        ({"value": "HollowWeb"}, True),
    ],
)
def test_a_filter(one, matches):
    assert select(ec2_tag_filters=[one]).matches(WEB) is matches


def test_one_of_the_filters_is_enough():
    filters = [{"key": "App", "value": "Other"}, {"key": "Stage", "value": "prod*"}]
    assert select(ec2_tag_filters=filters).matches(WEB)
    assert not select(ec2_tag_filters=filters[:1]).matches(WEB)


def test_of_a_tag_set_every_list_has_one_that_matches():
    lists = [[{"key": "App", "value": "Other"}, {"key": "App", "value": "HollowWeb"}], [{"key": "Stage"}]]
    assert select(ec2_tag_set={"ec2_tag_set_list": lists}).matches(WEB)
    assert select(ec2_tag_set=lists).matches(WEB)
    assert not select(ec2_tag_set=[*lists, [{"key": "Canary"}]]).matches(WEB)


def test_without_filters_nothing_is_selected():
    assert not select()
    assert not select(ec2_tag_filters=[], ec2_tag_set={"ec2_tag_set_list": []}).matches(WEB)


ONE = {"key": "App", "value": "HollowWeb"}


@pytest.mark.parametrize(
    ("group", "code", "sentence"),
    [
        ({"ec2_tag_filters": [ONE], "ec2_tag_set": [[ONE]]}, "InvalidEC2TagCombination", "exclude each other"),
        ({"ec2_tag_set": [[ONE]] * 4}, "TagSetListLimitExceeded", "has 4 lists, 3 are allowed"),
        ({"ec2_tag_filters": [ONE] * 11}, "TagLimitExceeded", "more than 10 filters"),
        ({"ec2_tag_set": [[ONE], []]}, "InvalidEC2Tag", "none of them empty"),
        ({"ec2_tag_set": [ONE]}, "InvalidEC2Tag", "a list of lists"),
        ({"ec2_tag_filters": ["App"]}, "InvalidEC2Tag", "'App' is no filter"),
        ({"ec2_tag_filters": [{**ONE, "name": "x"}]}, "InvalidEC2Tag", "a filter has key, value and type"),
        ({"ec2_tag_filters": [{**ONE, "type": "BOTH"}]}, "InvalidEC2Tag", "type 'BOTH' is none of KEY_ONLY,"),
        ({"ec2_tag_filters": [{"value": "x", "type": "KEY_ONLY"}]}, "InvalidEC2Tag", "KEY_ONLY needs a key"),
        ({"ec2_tag_filters": [{"key": "x", "type": "VALUE_ONLY"}]}, "InvalidEC2Tag", "VALUE_ONLY needs a value"),
        ({"ec2_tag_filters": [{"key": "x" * 129}]}, "InvalidEC2Tag", "at most 128 characters"),
    ],
)
def test_what_the_api_refuses(group, code, sentence):
    with pytest.raises(CodeDeployError, match=re.escape(sentence)) as caught:
        select(**group)
    assert caught.value.code == code


def test_tags_in_any_shape():
    assert tags_of([{"Key": "App", "Value": "HollowWeb"}, {"key": "Note"}]) == {"App": "HollowWeb", "Note": ""}
    assert tags_of({"App": 1, "Note": None}) == {"App": "1", "Note": ""}
    assert tags_of(None) == tags_of("App") == {}


TEXTS = st.text(alphabet="aA*?\\.b", max_size=4)
FILTERS = st.builds(TagFilter, st.sampled_from(TYPES), TEXTS.filter(bool), TEXTS)
SELECTIONS = st.builds(
    TagSelection, st.lists(st.lists(FILTERS, min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple)
)


def ec2_lists(filters, tags):
    """Whether DescribeInstances lists an instance, as EC2 documents its filters: all of them, any of the values."""

    def like(pattern, text):
        parts = re.findall(r"\\.|.", pattern, re.DOTALL)
        glob = "".join(
            {"*": "*", "?": "?"}.get(part) or "".join(f"[{letter}]" for letter in part[-1:]) for part in parts
        )
        return re.fullmatch(fnmatch.translate(glob), text) is not None

    for one in filters:
        texts = (
            tags if one["Name"] == "tag-key" else [value for key, value in tags.items() if f"tag:{key}" == one["Name"]]
        )
        if not any(like(pattern, text) for pattern in one["Values"] for text in texts):
            return False
    return True


@settings(max_examples=300)
@given(st.lists(SELECTIONS, min_size=1, max_size=2), st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=3))
def test_a_listing_leaves_out_nothing_that_is_selected(selections, tags):
    if any(selection.matches(tags) for selection in selections):
        assert ec2_lists(listing_filters(selections), tags)


def test_a_listing_leaves_out_what_it_can():
    by_value = select(ec2_tag_filters=[{"key": "App", "value": "Hollow*"}, {"key": "App", "value": "a?"}])
    assert listing_filters([by_value]) == [{"Name": "tag:App", "Values": ["Hollow*", "a\\?"]}]
    by_keys = select(ec2_tag_set=[[{"key": "Stage"}, {"key": "App"}], [{"key": "App", "value": "x"}]])
    assert listing_filters([by_keys]) == [{"Name": "tag:App", "Values": ["x"]}]
    other = select(ec2_tag_filters=[{"key": "Canary"}])
    assert listing_filters([by_keys, other]) == [{"Name": "tag-key", "Values": ["App", "Canary"]}]
    assert listing_filters([by_keys, select(ec2_tag_filters=[{"value": "x"}])]) == []
