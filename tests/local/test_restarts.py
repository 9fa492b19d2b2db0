"""When a part that died is started again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_generator.local.restarts import History, Policy, after_death, delay_of


@pytest.mark.parametrize(
    ("streak", "delay"),
    [(1, 0.2), (2, 0.4), (3, 0.8), (4, 1.6), (5, 3.2), (6, 5.0), (7, 5.0), (5000, 5.0)],
)
def test_the_wait_doubles_from_a_fifth_of_a_second_to_five_seconds(streak: int, delay: float) -> None:
    assert delay_of(streak, Policy()) == pytest.approx(delay)


def test_the_fifth_death_within_thirty_seconds_is_the_last() -> None:
    history, delays = History(), []
    for now in (0.0, 1.0, 2.0, 3.0, 29.9):
        verdict = after_death(history, now=now, lived=0.5)
        history = verdict.history
        delays.append(verdict.delay)
    assert delays == [0.2, 0.4, 0.8, 1.6, None]


def test_deaths_further_apart_are_never_given_up_and_wait_the_longest() -> None:
    history = History()
    for now in range(0, 1000, 10):
        verdict = after_death(history, now=float(now), lived=9.0)
        history = verdict.history
        assert verdict.delay is not None
    assert verdict.delay == 5.0


def test_a_part_that_lived_for_the_window_begins_anew() -> None:
    worn = History(recent=(), streak=6)
    assert after_death(worn, now=100.0, lived=30.0).delay == 0.2


@given(st.lists(st.floats(0.001, 60.0), max_size=60))
def test_it_is_given_up_exactly_when_five_deaths_lie_within_the_window(gaps: list[float]) -> None:
    history, times, now = History(), [0.0][:0], 0.0
    for gap in gaps:
        now += gap
        times.append(now)
        verdict = after_death(history, now=now, lived=gap)
        history = verdict.history
        within = [moment for moment in times if now - moment < 30.0]
        assert (verdict.delay is None) == (len(within) >= 5)
        assert verdict.delay is None or 0.2 <= verdict.delay <= 5.0
