"""What a request's trace is told on its way through the engine, step by step."""

from __future__ import annotations

import pytest

from focushub_core.balancer import Pool
from focushub_core.proxy.engine.traced import Traced, passing, witness_of
from focushub_core.proxy.engine.witness import Explaining, Several
from focushub_core.proxy.http1 import RequestHead, RequestReader
from focushub_core.proxy.rewrite import Side, request_block, request_names

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
POOL = Pool.of("shops", ["http://10.0.0.1:1", "http://10.0.0.2:1"])
ONE, TWO = POOL.upstreams


class Call:
    """Writes down what it hears."""

    def __init__(self, said: list[str], number: int) -> None:
        self._said = said
        self.fields = {"traceparent": f"call-{number}"}

    def answered(self, status: int) -> None:
        self._said.append(f"answered {status}")

    def failed(self, kind: str) -> None:
        self._said.append(f"failed {kind}")

    def __enter__(self) -> Call:
        raise AssertionError("nobody waits for it")

    def __exit__(self, *_: object) -> None:
        self._said.append("ended")


class Trace:
    """Writes down what it hears."""

    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"

    def __init__(self) -> None:
        self.said: list[str] = []

    def fields(self) -> dict[str, str]:
        raise AssertionError("each call has its own")

    def calling(self, method: str, url: str, *, inner: bool = False, since_ns: int | None = None) -> Call:
        assert since_ns
        assert not inner
        self.said.append(f"{method} {url}")
        return Call(self.said, len(self.said))

    def adopt(self) -> None:
        self.said.append("adopted")

    def end(self, route: str, status: int, error: type[BaseException] | None = None) -> None:
        self.said.append(f"{route} {status}")


@pytest.fixture
def trace() -> Trace:
    return Trace()


@pytest.fixture
def traced(trace: Trace) -> Traced:
    return Traced(trace, "GET", "/v1/shops")


def test_an_answer_is_a_call_and_an_end(trace: Trace, traced: Traced) -> None:
    traced.chosen(ONE, POOL, 0)
    assert traced.asked(0) == b"traceparent: call-1\r\n"
    traced.told(0)
    traced.over("/v1/{tail}", 200, 0)
    assert trace.said == ["GET http://10.0.0.1:1/v1/shops", "answered 200", "ended", "/v1/{tail} 200"]


def test_each_attempt_is_a_call(trace: Trace, traced: Traced) -> None:
    traced.chosen(ONE, POOL, 0)
    traced.asked(0)
    traced.failed("frozen", 0)
    traced.chosen(TWO, POOL, 0)
    assert traced.asked(0) == b"traceparent: call-4\r\n"
    traced.told(0)
    traced.over("/v1/{tail}", 200, 0)
    assert trace.said == [
        "GET http://10.0.0.1:1/v1/shops",
        "failed frozen",
        "ended",
        "GET http://10.0.0.2:1/v1/shops",
        "answered 200",
        "ended",
        "/v1/{tail} 200",
    ]


def test_who_could_not_be_connected_to_is_a_call_that_failed(trace: Trace, traced: Traced) -> None:
    traced.chosen(ONE, POOL, 0)
    traced.failed("upstream_unreachable", 0)
    traced.told(0)
    traced.over("/v1/{tail}", 503, 0)
    assert trace.said == [
        "GET http://10.0.0.1:1/v1/shops",
        "failed upstream_unreachable",
        "ended",
        "/v1/{tail} 503",
    ]


def test_a_kept_connection_that_was_closed_is_a_call_beside_the_next(trace: Trace, traced: Traced) -> None:
    traced.chosen(ONE, POOL, 0)
    traced.asked(0)
    traced.asked(0)
    traced.told(0)
    traced.over("/v1/{tail}", 200, 0)
    assert [said for said in trace.said if not said.startswith("GET")] == [
        "failed closed",
        "ended",
        "answered 200",
        "ended",
        "/v1/{tail} 200",
    ]


def test_a_client_that_goes_away_gives_its_call_up(trace: Trace, traced: Traced) -> None:
    traced.chosen(ONE, POOL, 0)
    traced.asked(0)
    traced.over("/v1/{tail}", 499, 0)
    assert trace.said[1:] == ["failed given_up", "ended", "/v1/{tail} 499"]


def test_what_breaks_off_in_the_middle_has_failed_whatever_its_head_said(
    trace: Trace, traced: Traced
) -> None:
    traced.chosen(ONE, POOL, 0)
    traced.asked(0)
    traced.told(0)
    traced.failed("upstream_broke_off", 0)
    traced.over("/v1/{tail}", 200, 0)
    assert trace.said[1:] == ["failed upstream_broke_off", "ended", "/v1/{tail} 200"]


def test_what_the_part_answers_itself_is_no_call(trace: Trace, traced: Traced) -> None:
    traced.attach()
    traced.told(0)
    traced.over("/v1/own", 200, 0)
    assert trace.said == ["adopted", "/v1/own 200"]


def head(*fields: bytes) -> RequestHead:
    reader = RequestReader(request_names())
    lines = b"".join(field + b"\r\n" for field in fields)
    found = reader.start(b"GET /v1/shops?q=1 HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")
    assert found is not None
    return found


def test_where_nobody_records_what_came_goes_on() -> None:
    witness = passing(head(b"TraceParent: " + PARENT, b"tracestate: a=1", b"tracestate: b=2"), "id", 0)
    assert witness is not None
    assert witness.trace_id == Trace.trace_id
    witness.chosen(ONE, POOL, 0)
    assert witness.asked(0) == b"traceparent: %b\r\ntracestate: a=1,b=2\r\n" % PARENT


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (b"tracestate: a=1",),
        (b"traceparent: " + PARENT.upper(),),
        (b"traceparent: " + PARENT, b"traceparent: " + PARENT),
        (b"traceparent: \xff" + PARENT,),
    ],
)
def test_what_is_no_parent_goes_no_further(fields: tuple[bytes, ...]) -> None:
    came = head(*fields)
    assert passing(came, "id", 0) is None
    assert b"trace" not in request_block(came, Side(b"lb", b"10.0.0.9", peer_trusted=False), b"id").lower()


class Tracer:
    """Gives the same trace to all."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def serving(self, method: str, path: str, request_id: str, came: object) -> Trace:
        self.trace.said.append(f"{method} {path} {request_id} {came is not None}")
        return self.trace


def test_where_spans_are_recorded_every_request_has_one(trace: Trace) -> None:
    assert witness_of(head(), "abc", Tracer(trace)) is not None  # type: ignore[arg-type]
    assert trace.said == ["GET /v1/shops abc False"]


def test_who_wants_to_know_for_two_reasons_hears_all_for_both(trace: Trace, traced: Traced) -> None:
    explaining = Explaining("lb", b"secret", 0)
    both = Several([explaining, traced])
    both.decided((("queue", 0.001, ""),))
    both.chosen(ONE, POOL, 0)
    assert both.asked(0) == b"X-Explain: secret\r\ntraceparent: call-1\r\n"
    assert both.told(0).startswith(b"Server-Timing: lb;")
    both.over("/v1/{tail}", 200, 0)
    assert both.trace_id == Trace.trace_id
    assert trace.said[-1] == "/v1/{tail} 200"
