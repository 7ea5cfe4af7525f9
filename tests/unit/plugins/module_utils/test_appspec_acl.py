# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access control entries of an AppSpec file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec_acl import (
    BASE_ENTRY,
    FORM,
    PERMISSIONS,
    parse_acl_entry,
)


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ("bob:rw", "user:bob:rw-"),
        ("u:bob:6", "user:bob:rw-"),
        ("user:bob:xwr", "user:bob:rwx"),
        ("u:bob:", "user:bob:---"),
        ("u:bob:-", "user:bob:---"),
        ("u:bob:rrr", "user:bob:r--"),
        ("g:web:0", "group:web:---"),
        ("m::rw", "mask::rw-"),
        ("mask:5", "mask::r-x"),
        ("d:bob:r", "default:user:bob:r--"),
        ("default:g:web:1", "default:group:web:--x"),
        ("d:u::rwx", "default:user::rwx"),
        ("d::rwx", "default:user::rwx"),
        ("d:g::r", "default:group::r--"),
        ("d:o:r", "default:other::r--"),
        ("default:mask::2", "default:mask::-w-"),
        ("u:m:r", "user:mask:r--"),
        ("g:other:r", "group:other:r--"),
        ("u:u:r", "user:u:r--"),
        ("g:r", "user:g:r--"),
        ("d:d:r", "default:user:d:r--"),
        ("u: bob:r", "user: bob:r--"),
    ],
)
def test_entry(entry: str, wanted: str) -> None:
    assert parse_acl_entry(entry) == wanted


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ("", FORM),
        ("r", FORM),
        ("a:b:c:d:e", FORM),
        ("x:bob:r", FORM),
        ("U:bob:r", FORM),
        ("::r", FORM),
        (" u:bob:r", FORM),
        ("d:d:bob:r", FORM),
        ("u:d:bob:r", FORM),
        ("x:u:bob:r", FORM),
        ("u:bob:rw:x", FORM),
        ("u::rw", BASE_ENTRY),
        ("g::r", BASE_ENTRY),
        ("o::r", BASE_ENTRY),
        ("o:r", BASE_ENTRY),
        (":r", BASE_ENTRY),
        ("m:bob:r", "mask takes no name; write mask::r"),
        ("m:m:r", "mask takes no name; write mask::r"),
        ("d:o:bob:r", "other takes no name; write other::r"),
        ("u:bob:8", PERMISSIONS),
        ("u:bob:77", PERMISSIONS),
        ("u:bob:R", PERMISSIONS),
        ("u:bob:r ", PERMISSIONS),
        ("u:bob:٤", PERMISSIONS),
        ("u:bob", PERMISSIONS),
    ],
)
def test_wrong_entry(entry: str, rule: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_acl_entry(entry)
    assert str(caught.value) == rule


@given(
    st.sampled_from(["", "d:", "default:"]),
    st.sampled_from(["u", "user", "g", "group"]),
    st.text(st.characters(blacklist_characters=":"), min_size=1),
    st.text("rwx-"),
)
def test_result_reads_as_itself(default: str, kind: str, name: str, permissions: str) -> None:
    entry = parse_acl_entry(f"{default}{kind}:{name}:{permissions}")
    assert parse_acl_entry(entry) == entry


@given(st.text("dugmo:rwx-07 b"))
def test_any_text_is_an_entry_or_an_error(text: str) -> None:
    try:
        entry = parse_acl_entry(text)
    except ValueError as error:
        assert str(error)
    else:
        assert parse_acl_entry(entry) == entry
