"""Several workers' metrics read, to Prometheus' own parser, as one process' that counts on."""

from __future__ import annotations

import os
import signal
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from focushub_core.telemetry import counters
from focushub_core.telemetry.board import SIZE, Board, Seat, counted, together
from focushub_core.telemetry.counters import RequestCounters
from focushub_core.telemetry.families import Family, render


def values(text: bytes) -> dict[str, float]:
    return {
        sample.name + "".join(f" {label}" for label in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def worker(requests: int, *, in_flight: int = 0, up: int = 1) -> bytes:
    own = RequestCounters()
    own.in_flight = in_flight
    for _ in range(requests):
        own.answered("GET", "/", 200, 0.003)
    ups = [({"pool": "p", "upstream": "u"}, float(up))]
    return own.render() + render([Family("gauge", "upstream_up", "1 unless down.", ups)])


def test_counters_histograms_and_amounts_are_added_up() -> None:
    found = values(together([worker(3, in_flight=1), worker(4, in_flight=2)]))
    assert found["http_requests_total GET / 200"] == 7
    assert found["http_request_duration_seconds_bucket GET / 0.005"] == 7
    assert found["http_request_duration_seconds_count GET /"] == 7
    assert found["http_requests_in_flight"] == 3


def test_an_upstream_is_up_where_every_worker_finds_it_so() -> None:
    assert values(together([worker(0), worker(0, up=0)]))["upstream_up p u"] == 0
    assert values(together([worker(0), worker(0)]))["upstream_up p u"] == 1


def test_one_text_alone_stays_as_it_is() -> None:
    text = worker(2) + counters.process()
    assert values(together([text])) == values(text)


def test_of_what_is_gone_only_what_was_counted_stays() -> None:
    found = values(counted(worker(3, in_flight=1)))
    assert found["http_requests_total GET / 200"] == 3
    assert "http_requests_in_flight" not in found
    assert "upstream_up p u" not in found
    assert counted(b"") == b""


def test_whoever_is_asked_answers_for_all() -> None:
    board = Board(2)
    first, second = Seat(board, 0), Seat(board, 1)
    second.leave(worker(4))
    assert values(first.together(worker(3)))["http_requests_total GET / 200"] == 7
    assert values(second.together(worker(5)))["http_requests_total GET / 200"] == 8


def test_who_takes_a_dead_ones_place_goes_on_from_there() -> None:
    """Twice, for what was taken over is handed on, too."""
    board = Board(2)
    Seat(board, 0).leave(worker(3, in_flight=2))
    Seat(board, 0).leave(worker(2))
    after = values(Seat(board, 0).together(worker(1)))
    assert after["http_requests_total GET / 200"] == 6
    assert after["http_requests_in_flight"] == 0


def test_what_is_too_long_is_not_left() -> None:
    board = Board(1)
    board.put(0, b"before")
    board.put(0, b"x" * (SIZE + 1))
    assert board.get(0) == b"before"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
def test_a_reader_never_sees_two_editions_mixed() -> None:
    board = Board(1)
    child = os.fork()
    if not child:
        try:
            for number in range(10**9):
                board.put(0, (b"%d " % (number % 10)) * (1000 + number % 7))
        finally:
            os._exit(0)
    try:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            assert len(set(board.get(0).split())) <= 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
