"""A change may be tied to the version that its author has seen."""

from __future__ import annotations

import pytest

from focushub_core.errors import PreconditionFailed
from focushub_core.http.conditional import etag, require_match


@pytest.mark.parametrize("if_match", [None, "*", '"7"', ' "7" ', '"6", "7"', 'W/"7", "7"'])
def test_a_change_to_the_version_at_hand_may_be_made(if_match: str | None) -> None:
    require_match(if_match, 7)


@pytest.mark.parametrize("if_match", ['"6"', '"77"', 'W/"7"', "7", "", '"7', '"7" "7"', '"6",', "**"])
def test_a_change_to_any_other_version_is_412(if_match: str) -> None:
    """A weak tag matches nothing, and what cannot be read matches nothing."""
    with pytest.raises(PreconditionFailed) as refused:
        require_match(if_match, 7)
    assert (refused.value.status, refused.value.code) == (412, "precondition_failed")


def test_what_is_answered_as_etag_matches() -> None:
    require_match(etag(12), 12)
