"""A change may be tied to the version that its author has seen; what has not changed is not sent again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.errors import PreconditionFailed
from focushub_core.http.conditional import IfMatch, digest_tag, etag, names


@pytest.mark.parametrize("if_match", [None, "*", '"7"', ' "7" ', '"6", "7"', 'W/"7", "7"'])
def test_a_change_to_the_version_at_hand_may_be_made(if_match: str | None) -> None:
    IfMatch(if_match).require(7)


@pytest.mark.parametrize("if_match", ['"6"', '"77"', 'W/"7"', "7", "", '"7', '"7" "7"', '"6",', "**"])
def test_a_change_to_any_other_version_is_412(if_match: str) -> None:
    """A weak tag matches nothing, and what cannot be read matches nothing."""
    with pytest.raises(PreconditionFailed) as refused:
        IfMatch(if_match).require(7)
    assert (refused.value.status, refused.value.code) == (412, "precondition_failed")


@given(st.integers(1, 2**31))
def test_what_is_answered_as_etag_matches(version: int) -> None:
    IfMatch(etag(version)).require(version)
    assert names(etag(version), etag(version))


@pytest.mark.parametrize(
    ("if_none_match", "named"),
    [
        ('"7"', True),
        ('W/"7"', True),
        ('"6", W/"7"', True),
        ("*", True),
        ('"6"', False),
        ("7", False),
        ('"7" "7"', False),
        ("", False),
    ],
)
def test_if_none_match_compares_weakly(if_none_match: str, named: bool) -> None:
    """RFC 9110, 13.1.2; a field that cannot be read names nothing, so that the whole is answered."""
    assert names(if_none_match, '"7"') is named


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_equal_bytes_and_no_others_have_an_equal_tag(one: bytes, other: bytes) -> None:
    assert (digest_tag(one) == digest_tag(other)) is (one == other)
