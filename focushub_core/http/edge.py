"""What happens around every request of a part: its id, its trace, its deadline, its line, its numbers, and its errors'
answers.

Rules that hold here:

* One function, not four middlewares: each would cost a coroutine a request. What it calls (`focushub_core.deadline`,
  `focushub_core.http.problems`, `focushub_core.telemetry`) is there one by one for applications that are no part.
* An application without other middlewares has none at all: the first one costs 2.5 us a request, whatever it does. The
  edge then lies around each handler, and a last route takes what no other matches.
* Every answer says which request it is of; a stream says it before its first byte, so a signal does it.
* A request that ends without an answer (its client went away) is counted and logged as 499.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import istr

from focushub_core import deadline
from focushub_core.errors import MethodNotAllowed, NotFound
from focushub_core.http import problems
from focushub_core.telemetry import explain, trace
from focushub_core.telemetry.access import CLIENT_GONE, QUIET, AccessLog
from focushub_core.telemetry.context import HEADER, request_id, take_up
from focushub_core.telemetry.counters import RequestCounters
from focushub_core.telemetry.observe import UNMATCHED, template_of
from focushub_core.telemetry.tracing import Tracer

UNMATCHED_PATH = UNMATCHED.replace("}", ":.*}")

_TRACEPARENT, _TRACESTATE = istr(trace.TRACEPARENT), istr(trace.TRACESTATE)

Serve = Callable[..., Awaitable[web.StreamResponse]]
"""What is around a handler: ``(request, handler)``, as aiohttp's middlewares are, and ``route`` where it is known."""
Prepare = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def observed(
    requests: RequestCounters,
    access: AccessLog,
    *,
    show_internals: bool,
    seconds: float,
    tracer: Tracer | None = None,
    explains: Callable[[str | None], None] | None = None,
) -> Serve:
    """Serves a request for ``seconds`` at most, and says of it what there is to say.

    ``explains`` gets what `explain.HEADER` says.
    """

    async def serve(request: web.Request, handler: Handler, route: str | None = None) -> web.StreamResponse:
        # None of these is reset at the end: the answer's head is written after this returns, and the next request on
        # the connection sets its own.
        headers = request.headers
        ident = take_up(headers.get(HEADER))
        request_id.set(ident)
        deadline.start(deadline.take_up(headers.get(deadline.HEADER), seconds))
        traced = _trace_of(request, ident, tracer) if tracer is not None or _TRACEPARENT in headers else None
        trace.current.set(traced)
        if explains is not None:
            explains(headers.get(explain.HEADER))
        status, failed = CLIENT_GONE, None  # the exception itself would keep its frames, and they it
        requests.in_flight += 1
        started = perf_counter()
        try:
            response = await handler(request)
            status = response.status
        except Exception as error:  # noqa: BLE001 - the edge of the process
            failed = type(error)
            status = getattr(error, "status", status)  # of a redirection, which is raised on
            response = problems.answer(error, show_internals=show_internals)
            status = response.status
        finally:
            took = perf_counter() - started
            requests.in_flight -= 1
            if route is None:
                route = template_of(request)
            requests.answered(request.method, route, status, took)
            if traced is not None:
                traced.end(route, status, failed)
            if status >= 500 or route not in QUIET:
                trace_id = None if traced is None else traced.trace_id
                access.write(request.method, request.rel_url.raw_path, route, status, took, ident, trace_id)
        return response

    return serve


def _trace_of(request: web.Request, ident: str, tracer: Tracer | None) -> trace.Trace | None:
    """What the request belongs to; with a ``tracer`` it has a span of its own, unless a machine asks how we are."""
    headers = request.headers
    came = trace.take_up(headers.getall(_TRACEPARENT, ()), headers.getall(_TRACESTATE, ()))
    if tracer is None or request.path in QUIET:
        return came
    serving = tracer.serving(request.method, request.rel_url.raw_path, ident, came)
    serving.attach()
    return serving


def unobserved(draining: Callable[[], bool], *, show_internals: bool, seconds: float) -> Serve:
    """The same without ids, lines and numbers."""

    async def serve(request: web.Request, handler: Handler, route: str | None = None) -> web.StreamResponse:
        deadline.start(deadline.take_up(request.headers.get(deadline.HEADER), seconds))
        try:
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 - the edge of the process
            response = problems.answer(error, show_internals=show_internals)
        if draining():
            response.force_close()
        return response

    return serve


def lay_around(app: web.Application, serve: Serve) -> None:
    """Lays ``serve`` around every handler of ``app``, whose routes are all there, and around what matches none."""
    app.router.add_route("*", UNMATCHED_PATH, unmatched)
    for route in app.router.routes():
        template = route.resource.canonical if route.resource is not None else UNMATCHED
        name = "unmatched" if template == UNMATCHED else template
        around: Any = partial(serve, handler=route.handler, route=name)
        route._handler = around


async def unmatched(request: web.Request) -> web.StreamResponse:
    """404; or 405, where the path exists with other methods."""
    allowed: set[str] = set()
    for resource in request.app.router.resources():
        if resource.canonical != UNMATCHED:
            allowed |= (await resource.resolve(request))[1]
    if allowed:
        raise MethodNotAllowed(headers={"Allow": ",".join(sorted(allowed))})
    raise NotFound


async def tell(_: web.Request, response: web.StreamResponse) -> None:
    """A response signal: how the request was served, for an operator who asked."""
    explanation = explain.current.get()
    if explanation is not None:
        response.headers.add(explain.FIELD, explanation.text(perf_counter() - explanation.began))


def prepare(draining: Callable[[], bool]) -> Prepare:
    """A response signal: the request's id, and ``Connection: close`` while the part drains."""

    async def on_prepare(_: web.Request, response: web.StreamResponse) -> None:
        current = request_id.get()
        if current is not None:
            response.headers[HEADER] = current
        if draining():
            response.force_close()

    return on_prepare
