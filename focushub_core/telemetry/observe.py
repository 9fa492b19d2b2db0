"""One middleware around everything: the request's id, its log line, its metrics."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from focushub_core.telemetry.access import CLIENT_GONE, QUIET
from focushub_core.telemetry.context import HEADER, request_id, take_up
from focushub_core.telemetry.metrics import HttpMetrics

__all__ = ["CLIENT_GONE", "QUIET", "ROUTE", "add_request_id", "middleware", "route_of"]

ROUTE: web.RequestKey[str] = web.RequestKey("route", str)
"""What a part that forwards says the route is, where its own template says nothing (``/{path}``)."""

_log = logging.getLogger("focushub.access")


def middleware(metrics: HttpMetrics) -> Any:
    """Gives each request its id, counts it, and writes its line when it is answered."""

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        # Not reset at the end: the answer's head is written after this returns, and the next request on the
        # connection (the same task) sets its own.
        request_id.set(take_up(request.headers.get(HEADER)))
        started = perf_counter()
        status = CLIENT_GONE
        metrics.in_flight.inc()
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            seconds = perf_counter() - started
            metrics.in_flight.dec()
            route = route_of(request)
            metrics.answered(request.method, route, status, seconds)
            _write(request, route, status, seconds)

    return observe


async def add_request_id(_: web.Request, response: web.StreamResponse) -> None:
    """A response signal: every answer says which request it is of, a stream before its first byte."""
    current = request_id.get()
    if current is not None:
        response.headers[HEADER] = current


def route_of(request: web.Request) -> str:
    """The template of the route, ``unmatched`` where there is none: a label of bounded variety."""
    said: str | None = request.get(ROUTE)
    if said is not None:
        return said
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


def _write(request: web.Request, route: str, status: int, seconds: float) -> None:
    if route in QUIET and status < 500:
        return
    _log.info(
        "%s %s %d",
        request.method,
        request.rel_url.raw_path,
        status,
        extra={
            "method": request.method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
        },
    )
