"""Who stands still, looked at several times a second, as the proxy does."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from focushub_core.balancer import Outcome, Upstream
from focushub_core.balancer.frozen import QUIET_S, Stillness

LOOK_S = 0.2


def probes(
    upstream: Upstream, until_s: float, happens: Callable[[float], object] = lambda _: None
) -> list[float]:
    """When ``upstream`` is probed in the first ``until_s`` seconds; ``happens`` is called before each look."""
    stillness, asked = Stillness(), []
    for number in range(round(until_s / LOOK_S) + 1):
        now = round(number * LOOK_S, 3)
        happens(now)
        if stillness.look([upstream], now):
            asked.append(now)
    return asked


def test_one_that_is_silent_with_requests_waiting_is_probed_after_a_second_and_each_second_from_then_on() -> (
    None
):
    assert probes(Upstream("a", in_flight=1), 3.3) == [1.0, 2.0, 3.0]


def test_one_that_has_nothing_to_answer_does_not_stand_still() -> None:
    assert probes(Upstream("a"), 10) == []


def test_the_second_begins_with_the_request_not_with_the_last_sign_of_life() -> None:
    upstream = Upstream("a")

    def happens(now: float) -> None:
        upstream.in_flight = int(now >= 5)

    assert probes(upstream, 6.2, happens) == [6.0]


def test_an_answer_to_any_request_is_a_sign_of_life() -> None:
    upstream = Upstream("a", in_flight=2)

    def happens(now: float) -> None:
        if now == 0.8:
            upstream.health.observed(Outcome.ANSWERED, now)

    assert probes(upstream, 2.0, happens) == [1.8]


def test_so_is_a_piece_of_an_answer() -> None:
    upstream = Upstream("a", in_flight=1)

    def happens(now: float) -> None:
        upstream.pieces += round(now % 1, 1) == 0.8

    assert probes(upstream, 10, happens) == []


def test_a_connection_that_failed_is_none() -> None:
    upstream = Upstream("a", in_flight=1)

    assert probes(upstream, 1.1, lambda now: upstream.health.observed(Outcome.UNREACHABLE, now)) == [1.0]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_nobody_is_probed_who_was_idle_or_alive_within_the_last_second(
    moments: list[tuple[bool, bool]],
) -> None:
    upstream, stillness = Upstream("a"), Stillness()
    for number, (busy, alive) in enumerate(moments):
        upstream.in_flight = int(busy)
        upstream.pieces += alive
        if stillness.look([upstream], number * LOOK_S):
            window = moments[number - round(QUIET_S / LOOK_S) + 1 : number + 1]
            assert all(was_busy and not was_alive for was_busy, was_alive in window)
