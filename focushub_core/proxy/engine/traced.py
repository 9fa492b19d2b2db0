"""A request's trace on its way through the engine: taken up and passed on, and recorded where spans are.

Rules that hold here:

* Each attempt at an upstream is a call of its own: one that came to nothing stands beside the one that did not.
* An upstream's parent is the attempt at it: it gets that one's ``traceparent``, and none that came.
"""

from __future__ import annotations

import time

from focushub_core.balancer import Pool, Upstream
from focushub_core.proxy.engine.witness import Notes, Witness
from focushub_core.proxy.http1 import RequestHead, lines
from focushub_core.telemetry.access import QUIET
from focushub_core.telemetry.trace import TRACEPARENT, TRACESTATE, Call, Trace, take_up
from focushub_core.telemetry.tracing import Tracer

PARENT, STATE = TRACEPARENT.encode(), TRACESTATE.encode()


def passing(head: RequestHead, request_id: str, now: float) -> Witness | None:
    """The witness of a request that came with a trace, where nobody records any."""
    return witness_of(head, request_id, None) if PARENT in head.fields.meant else None


def witness_of(head: RequestHead, request_id: str, tracer: Tracer | None) -> Witness | None:
    """That of a request which belongs to a trace; with a ``tracer`` all do, but machines that ask how we are."""
    known = head.fields.known
    came = take_up(
        [value.decode("latin-1") for name, value in known if name == PARENT],
        [value.decode("latin-1") for name, value in known if name == STATE],
    )
    method, path = head.method.decode(), head.target.partition(b"?")[0].decode()
    trace: Trace | None = came
    if tracer is not None and path not in QUIET:
        trace = tracer.serving(method, path, request_id, came)
    return None if trace is None else Traced(trace, method, path)


class Traced:
    """Tells ``trace`` what becomes of its request."""

    def __init__(self, trace: Trace, method: str, path: str) -> None:
        self._trace = trace
        self._method = method
        self._path = path
        self._url = ""
        self._since_ns = 0
        self._call: Call | None = None
        self._is_answered = False

    @property
    def trace_id(self) -> str:
        return self._trace.trace_id

    def decided(self, notes: Notes) -> None:
        """How it was found out is no step of its own here."""

    def attach(self) -> None:
        self._trace.adopt()

    def chosen(self, upstream: Upstream, pool: Pool, now: float) -> None:
        self._url = upstream.url + self._path
        self._since_ns = time.time_ns()

    def asked(self, now: float) -> bytes:
        if self._call is not None:  # the connection was closed under it: once more, on a new one
            self.failed("closed", now)
        call = self._calling()
        return lines((name.encode(), value.encode()) for name, value in call.fields.items())

    def failed(self, code: str, now: float) -> None:
        call, self._call = self._calling(), None
        call.failed(code)
        call.__exit__(None, None, None)
        self._since_ns = time.time_ns()

    def told(self, now: float) -> bytes:
        self._is_answered = True
        return b""

    def over(self, route: str, status: int, now: float) -> None:
        if self._call is not None and not self._is_answered:
            self.failed("given_up", now)
        elif self._call is not None:
            self._call.answered(status)
            self._call.__exit__(None, None, None)
        self._trace.end(route, status)

    def _calling(self) -> Call:
        """The present attempt; it began when its upstream was chosen, and is told of when that is known to be there."""
        if self._call is None:
            self._call = self._trace.calling(self._method, self._url, since_ns=self._since_ns)
        return self._call
