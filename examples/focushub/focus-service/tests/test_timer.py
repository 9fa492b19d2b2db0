"""A session's course, as tables and properties; no database, no clock."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focus_service.timer import MAX_SESSION_S, Segment, Timer, checked_end
from focushub_core import Conflict, Invalid


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-05-04T{text}").replace(tzinfo=UTC)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def test_a_pause_is_no_focus_and_makes_two_segments_of_one_session() -> None:
    """F3: start 10:00, pause 10:10, resume 10:15, finish 10:30."""
    timer = Timer.start(at("10:00"), None).pause(at("10:10")).resume(at("10:15")).finish(at("10:30"))
    assert (timer.elapsed(at("18:00")), timer.focused(at("18:00"))) == (minutes(30), minutes(25))
    assert timer.segments == (Segment(at("10:00"), at("10:10")), Segment(at("10:15"), at("10:30")))


@pytest.mark.parametrize(
    ("planned_s", "end"),
    [(1500, "10:25"), (60, "10:01"), (None, "18:00")],
    ids=["pomodoro", "a minute", "no plan: eight hours"],
)
def test_a_session_ends_by_itself(planned_s: int | None, end: str) -> None:
    """F4: whoever comes later finds it finished when its time was up, and not a second before."""
    timer = Timer.start(at("10:00"), planned_s)
    just_before = timer.settle(at(end) - timedelta(microseconds=1))
    assert (just_before.status, timer.settle(at(end)).ended_at) == ("running", at(end))
    assert timer.settle(at("23:00")).focused(at("23:00")) == timedelta(seconds=planned_s or MAX_SESSION_S)


def test_a_pause_moves_the_planned_end() -> None:
    timer = Timer.start(at("10:00"), 1500).pause(at("10:10"))
    assert (timer.planned_end(), timer.settle(at("23:00"))) == (None, timer)
    assert timer.resume(at("12:00")).planned_end() == at("12:15")


@pytest.mark.parametrize(
    ("end", "kept"),
    [
        ("10:30", [("10:00", "10:10"), ("10:20", "10:30")]),
        ("10:20", [("10:00", "10:10")]),
        ("10:15", [("10:00", "10:10")]),
        ("10:05", [("10:00", "10:05")]),
    ],
)
def test_an_earlier_end_cuts_what_lies_behind_it(end: str, kept: list[tuple[str, str]]) -> None:
    timer = Timer.start(at("10:00"), None).pause(at("10:10")).resume(at("10:20"))
    finished = timer.finish(at(end))
    assert [(one.started_at, one.ended_at) for one in finished.segments] == [(at(a), at(b)) for a, b in kept]
    assert finished.ended_at == at(end)


def test_an_end_at_the_start_leaves_a_session_without_focus() -> None:
    timer = Timer.start(at("10:00"), None).finish(at("10:00"))
    assert (timer.segments, timer.elapsed(at("11:00"))) == ((), timedelta())


@pytest.mark.parametrize(
    ("end", "code"),
    [("09:59", "end_not_after_start"), ("10:00", "end_not_after_start"), ("11:01:01", "in_future")],
)
def test_an_end_outside_the_session_is_refused(end: str, code: str) -> None:
    """F10."""
    with pytest.raises(Invalid) as refused:
        checked_end(Timer.start(at("10:00"), None), at(end), at("11:00"))
    assert (refused.value.code, [wrong.field for wrong in refused.value.errors]) == (code, ["ended_at"])


def test_a_clock_that_is_a_little_ahead_means_now() -> None:
    assert checked_end(Timer.start(at("10:00"), None), at("11:01"), at("11:00")) == at("11:00")


def test_states_that_do_not_fit_are_conflicts() -> None:
    running = Timer.start(at("10:00"), None)
    with pytest.raises(Conflict, match="not paused"):
        running.resume(at("10:01"))
    with pytest.raises(Conflict, match="not running"):
        running.pause(at("10:01")).pause(at("10:02"))


@given(
    steps=st.lists(st.tuples(st.sampled_from(["pause", "resume"]), st.integers(-5, 600)), max_size=20),
    planned_s=st.none() | st.integers(1, MAX_SESSION_S),
)
def test_segments_are_in_order_and_add_up_whatever_happens(
    steps: list[tuple[str, int]], planned_s: int | None
) -> None:
    """Also with a clock that sometimes goes back some seconds."""
    now = at("10:00")
    timer = Timer.start(now, planned_s)
    for name, seconds in steps:
        now += timedelta(seconds=seconds)
        timer = timer.settle(now)
        with suppress(Conflict):
            timer = timer.pause(now) if name == "pause" else timer.resume(now)
    timer = timer.finish(timer.moment(now))
    edges = [moment for one in timer.segments for moment in (one.started_at, one.ended_at) if moment]
    assert edges == sorted(edges)
    assert all(one.ended_at and one.started_at < one.ended_at for one in timer.segments)
    assert timer.focused(now) <= timer.elapsed(now)
    assert planned_s is None or timer.focused(now) <= timedelta(seconds=planned_s)
