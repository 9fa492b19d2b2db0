"""Refresh tokens are made anew from a counter, and judged by it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_service.refresh_tokens import GRACE, Verdict, judge, make, read

SESSION = UUID("019a0000-0000-7000-8000-000000000001")
KEY = b"k" * 32
SOON, LATER = timedelta(seconds=1), timedelta(seconds=11)


@given(st.uuids(), st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_a_token_is_always_the_same_text_and_says_session_and_counter(
    session_id: UUID, counter: int, key: bytes
) -> None:
    token = make(session_id, counter, key)
    assert token == make(session_id, counter, key)
    presented = read(token)
    assert presented is not None
    assert (presented.session_id, presented.counter, presented.signed_by(key)) == (session_id, counter, True)


@given(st.integers(0, 70), st.characters(codec="ascii"))
def test_a_token_with_a_character_changed_is_no_token_or_not_signed(position: int, character: str) -> None:
    token = make(SESSION, 3, KEY)
    forged = token[:position] + character + token[position + 1 :]
    presented = read(forged)
    assert forged == token or presented is None or not presented.signed_by(KEY)


def test_another_sessions_key_did_not_sign_it() -> None:
    presented = read(make(SESSION, 3, KEY))
    assert presented is not None
    assert not presented.signed_by(b"x" * 32)


@pytest.mark.parametrize(
    "text", ["", "x", "é" * 76, "A" * 76, make(SESSION, 0, KEY) + "=", make(SESSION, 0, KEY) + "A"]
)
def test_what_is_no_token_is_not_read(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    ("current", "presented", "since", "verdict"),
    [
        (0, 0, LATER, Verdict.ROTATE),
        (5, 5, SOON, Verdict.ROTATE),
        (5, 5, LATER, Verdict.ROTATE),
        (5, 4, SOON, Verdict.REPEAT),
        (5, 4, LATER, Verdict.REPEAT),
        (5, 3, SOON, Verdict.REPEAT),
        (5, 0, SOON, Verdict.REPEAT),
        (5, 3, GRACE, Verdict.REPEAT),
        (5, 3, LATER, Verdict.REUSED),
        (5, 0, LATER, Verdict.REUSED),
        (5, 6, SOON, Verdict.INVALID),
        (5, 6, LATER, Verdict.INVALID),
    ],
)
def test_the_counter_decides(current: int, presented: int, since: timedelta, verdict: Verdict) -> None:
    """The current one rotates, the one before is answered again, older ones within 10 s, too; a later one is forged."""
    assert judge(current, presented, since) is verdict
