"""By when a request must be answered."""

from __future__ import annotations

import asyncio

import pytest

from focushub_core import deadline


@pytest.mark.parametrize(
    ("field", "limit", "seconds"),
    [
        ("250", 10.0, 0.25),
        ("0", 10.0, 0.0),
        ("20000", 10.0, 10.0),
        (None, 10.0, 10.0),
        ("", 10.0, 10.0),
        ("-1", 10.0, 10.0),
        ("1e3", 10.0, 10.0),
        ("٣", 10.0, 10.0),
        ("9999999999", 10.0, 10.0),
    ],
)
def test_a_sender_may_shorten_the_limit_and_nothing_else(
    field: str | None, limit: float, seconds: float
) -> None:
    assert seconds == deadline.take_up(field, limit)


async def test_without_a_deadline_the_limit_holds() -> None:
    assert deadline.left(3.0) == 3.0
    assert deadline.field(3.0) == {"X-Request-Timeout-Ms": "3000"}


async def test_what_is_left_is_the_lesser_and_is_passed_on() -> None:
    deadline.start(50)
    assert 40 < deadline.left(300.0) <= 50
    assert deadline.left(0.1) == 0.1
    assert 40_000 < int(deadline.field(300.0)["X-Request-Timeout-Ms"]) <= 50_000


async def test_a_time_that_is_over_is_passed_on_as_nothing() -> None:
    deadline.start(-1.0)
    assert deadline.left(3.0) < 0
    assert deadline.field(3.0) == {"X-Request-Timeout-Ms": "0"}


async def test_a_deadline_is_its_tasks_own_and_that_of_what_it_starts() -> None:
    async def child() -> float:
        return deadline.left(90.0)

    async def request(seconds: float) -> float:
        deadline.start(seconds)
        return await asyncio.create_task(child())

    short, long = await asyncio.gather(request(10.0), request(50.0))
    assert short <= 10.0
    assert 40.0 < long <= 50.0
    assert deadline.left(90.0) == 90.0
