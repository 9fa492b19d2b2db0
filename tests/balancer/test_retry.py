"""What may be sent again, and how often."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focushub_core.balancer import RetryBudget, Stage, may_resend
from focushub_core.balancer.retry import IDEMPOTENT


@pytest.mark.parametrize(
    ("stage", "replayable", "body_at_hand", "expected"),
    [
        (Stage.CONNECT, True, True, True),
        (Stage.CONNECT, False, True, True),
        (Stage.CONNECT, False, False, False),
        (Stage.SENT, True, True, True),
        (Stage.SENT, True, False, False),
        (Stage.SENT, False, True, False),
        (Stage.PASSED_ON, True, True, False),
        (Stage.PASSED_ON, False, True, False),
    ],
)
def test_only_what_cannot_happen_twice_is_sent_again(
    stage: Stage, replayable: bool, body_at_hand: bool, expected: bool
) -> None:
    assert may_resend(stage, replayable=replayable, body_at_hand=body_at_hand) is expected


@pytest.mark.parametrize("method", ["POST", "PATCH", "CONNECT", "TRACE", "get", "WEIRD"])
def test_a_method_that_is_not_known_to_be_idempotent_is_not(method: str) -> None:
    assert method not in IDEMPOTENT


def test_ten_retries_a_second_are_always_there() -> None:
    budget = RetryBudget()

    assert [budget.take(5.5) for _ in range(11)] == [True] * 10 + [False]
    assert budget.take(6.0)


@settings(deadline=None)
@given(requests=st.lists(st.integers(0, 500), min_size=1, max_size=30))
def test_over_ten_seconds_retries_are_at_most_a_fifth_or_ten_a_second(requests: list[int]) -> None:
    budget, taken = RetryBudget(), []
    for second, count in enumerate(requests):
        for _ in range(count):
            budget.request(second)
        taken.append(sum(budget.take(second) for _ in range(600)))
        window = slice(max(0, second - 9), second + 1)

        assert sum(taken[window]) <= max(0.2 * sum(requests[window]) + 10 * len(taken[window]), 10)
        assert taken[-1] >= 10
