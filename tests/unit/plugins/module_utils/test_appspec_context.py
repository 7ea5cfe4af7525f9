# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SELinux ranges of an AppSpec file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec_context import parse_range


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("s0", "s0"),
        ("s01", "s1"),
        ("s00", "s0"),
        ("s0-s3", "s0-s3"),
        ("s2-s10", "s2-s10"),
        ("s3-s03", "s3"),
        ("s0:c0", "s0:c0"),
        ("s0:c1023", "s0:c1023"),
        ("s0:c01", "s0:c1"),
        ("s0:c1,c3,c5", "s0:c1,c3,c5"),
        ("s0:c5,c3,c4", "s0:c3.c5"),
        ("s0:c1,c2", "s0:c1.c2"),
        ("s0:c0.c5,c6,c9", "s0:c0.c6,c9"),
        ("s0:c3.c3", "s0:c3"),
        ("s0:c1,", "s0:c1"),
        ("s0:,", "s0:"),
        ("s0-s1:c0.c1023", "s0-s1:c0.c1023"),
        ("s" + "9" * 5000, "s" + "9" * 5000),
    ],
)
def test_range(text: str, wanted: str) -> None:
    assert parse_range(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["", "s", "0", "sx", "S0", " s0", "s0 ", "s-1", "s٣", ":", "s0:", ":c0", "-", "-s0", "s0-", "s0-s1-s2", "s0--s1"]
    + ["s3-s0", "s10-s9", "s0:x1", "s0:c", "s0:c1024", "s0:c99999", "s0:c-1", "s0:c0:c1", "s0:,c1", "s0:c1,,c2"]
    + ["s0:c1, c2", "s0:c5.c0", "s0:c1.", "s0:.c1", "s0:c1.c2.c3", "s0:c1,c1", "s0:c0.c5,c3", "s0:c3,c0.c5"],
)
def test_wrong_range(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_range(text)
    assert str(caught.value)


@given(st.sets(st.integers(0, 1023), min_size=1))
def test_categories_are_kept(categories: set[int]) -> None:
    joined = parse_range("s0:" + ",".join(f"c{number}" for number in categories)).partition(":")[2]
    found: set[int] = set()
    for run in joined.split(","):
        low, _dot, high = run.replace("c", "").partition(".")
        found.update(range(int(low), int(high or low) + 1))
    assert found == categories


@given(st.text("sc0123459:,.-"))
def test_any_text_is_a_range_or_an_error(text: str) -> None:
    try:
        result = parse_range(text)
    except ValueError as error:
        assert str(error)
    else:
        assert result.startswith("s")
