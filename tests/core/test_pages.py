"""Signed cursors and keyset pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core import BadRequest, Pager

PAGER: Pager[tuple[int, str]] = Pager("secret", "tasks", tuple[int, str])


@given(st.integers(-(2**53), 2**53), st.text())
def test_a_cursor_gives_back_the_key_it_was_made_of(number, text):
    assert PAGER.decode(PAGER.encode((number, text))) == (number, text)


@given(st.text(max_size=80))
def test_whatever_else_comes_is_a_400(text):
    with pytest.raises(BadRequest) as caught:
        PAGER.decode(text)
    assert caught.value.code == "invalid_cursor"


@pytest.mark.parametrize(
    "other", [Pager("other", "tasks", tuple[int, str]), Pager("secret", "notes", tuple[int, str])]
)
def test_a_cursor_of_another_secret_or_another_list_is_refused(other):
    with pytest.raises(BadRequest):
        PAGER.decode(other.encode((1, "a")))


def test_a_page_ends_with_a_cursor_only_if_more_follows():
    pager: Pager[int] = Pager("secret", "numbers", int)
    assert pager.page([1, 2], 2, key=lambda row: row).next_cursor is None
    page = pager.page([1, 2, 3], 2, key=lambda row: row)
    assert (page.items, pager.decode(page.next_cursor)) == ([1, 2], 2)
