"""Serves an application's own routes on the engine.

Rules that hold here:

* A route is found as aiohttp would find it: by one look where that is plain (`Shortcuts`), else by aiohttp's router.
* A handler's result is answered as aiohttp's way answers it (`focushub_core.http.handlers.respond`), and so is what
  it raises (`focushub_core.http.problems`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from focushub_core import deadline
from focushub_core.direct.request import Around, Gathering, Request
from focushub_core.direct.shortcuts import Shortcuts
from focushub_core.http import problems
from focushub_core.http.handlers import JSON, VALUES, Whole, finished
from focushub_core.proxy.engine import Answer, Asked, Route
from focushub_core.proxy.engine.answers import JSON as _JSON
from focushub_core.proxy.engine.answers import refusal
from focushub_core.proxy.rewrite import HOP_BY_HOP
from focushub_core.ratelimit import RateLimits
from focushub_core.telemetry.observe import UNMATCHED

_TIME_LEFT = deadline.HEADER.lower().encode()
_ENGINES = frozenset(
    {"content-length", "date", "server", "x-request-id", *(name.decode() for name in HOP_BY_HOP)}
)
"""Fields that the engine writes, or that say too much."""


Leads = tuple["Way | None", Mapping[str, str]]
"""The way of a request, None if it is not ours; and what its path says."""
Find = Callable[[bytes, bytes], Leads | None]


class Lane:
    """The routes of ``around.app`` whose handlers are in ``whole``.

    ``seconds`` is what a request may take; ``show_internals`` tells clients of unexpected errors what they were: for
    development. ``limits`` are asked before each of them.
    """

    def __init__(
        self,
        around: Around,
        whole: Mapping[Any, Whole],
        *,
        show_internals: bool,
        seconds: float,
        limits: RateLimits | None = None,
    ) -> None:
        self.around = around
        self.limits = limits
        self.show_internals = show_internals
        self.seconds = seconds
        self._ways = {
            route: Way(self, route, found)
            for route in around.app.router.routes()
            if (found := whole.get(_innermost(route.handler))) is not None
        }
        self.find: Find = Shortcuts(around.app, self._ways.get).find
        """Where a request's method and target lead; None: `look` has to find out."""

    def look(self, asked: Asked) -> Leads | Awaitable[Leads]:
        """What `find` finds, by aiohttp's router: at once if nobody waits there, and nobody does but somebody's own."""
        looking = self._look(asked)
        try:
            looking.send(None)
        except StopIteration as found:
            leads: Leads = found.value
            return leads
        looking.close()
        return self._look(asked)

    async def _look(self, asked: Asked) -> Leads:
        request: Any = Request(asked, self.around)
        match = await self.around.app.router.resolve(request)
        return self._ways.get(match.route), match

    def begin(self, asked: Asked) -> None:
        """From now on a request's time runs."""
        fields = asked.head.fields
        seconds = self.seconds
        if _TIME_LEFT in fields.meant:
            seconds = deadline.take_up(fields.first(_TIME_LEFT), seconds)
        deadline.start(seconds)

    async def by_aiohttp(self, asked: Asked, handler: Handler) -> Answer:
        """The answer of a ``handler`` that needs aiohttp's own request, such as that of a whole application."""
        self.begin(asked)
        request = Request(asked, self.around)
        request.writer = Gathering()
        try:
            response = await handler(request.full)
        except Exception as error:  # noqa: BLE001 - the edge of the process
            return await self.failed(error, request)
        return await _answer_of(response, request, gathers=bool(self.around.app.on_response_prepare))

    async def failed(self, error: Exception, request: Request) -> Answer:
        """The answer to what a handler raised."""
        if isinstance(error, web.HTTPException) and error.status < 400:
            return await _answer_of(error, request)
        return refusal(problems.said(error, show_internals=self.show_internals), request.id)


class Way:
    """A route, and what answers on it."""

    __slots__ = ("_call", "_lane", "_route", "_status", "label", "route")

    def __init__(self, lane: Lane, route: web.AbstractRoute, whole: Whole) -> None:
        self._lane = lane
        self._route = route
        self._call, self._status = whole
        canonical = route.resource.canonical if route.resource is not None else UNMATCHED
        self.label = "unmatched" if canonical == UNMATCHED else canonical
        self.route = Route(self.label, handler=self.answer)
        """What becomes of a request whose path says nothing more."""

    async def answer(self, asked: Asked) -> Answer:
        """A `focushub_core.proxy.engine.Handler`; ``asked.route.found`` is what the path says."""
        lane, limits = self._lane, self._lane.limits
        lane.begin(asked)
        request: Any = Request(asked, lane.around, self._route)
        try:
            if limits is not None:
                waiting = limits.charge(request, self._route)
                if waiting is not None:
                    await waiting
            result = await self._call(request)
            if not isinstance(result, VALUES) and isinstance(result, web.StreamResponse):
                answer = await _answer_of(result, request)
            else:
                status, fields, body = finished(result, self._status)
                answer = Answer(status, body or b"", _JSON if fields is JSON else tuple(fields.items()))
        except Exception as error:  # noqa: BLE001 - the edge of the process
            answer = await lane.failed(error, request)
        return answer if limits is None else answer.with_lines(limits.lines(request))


async def _answer_of(response: web.StreamResponse, request: Request, *, gathers: bool = False) -> Answer:
    """``gathers``: what is done as it is prepared counts, too."""
    body = response.body if type(response) is web.Response else None
    if gathers or response.cookies or response.compression or not isinstance(body, bytes | None):
        if request.writer is None:
            request.writer = Gathering()
        await response.prepare(request.full)
        await response.write_eof()
        body = b"".join(request.writer.parts)
    fields = [(name, value) for name, value in response.headers.items() if name.lower() not in _ENGINES]
    return Answer(response.status, body or b"", fields)


def _innermost(handler: Any) -> Any:
    """A handler without what a part has laid around it (`focushub_core.http.edge.lay_around`)."""
    return handler.keywords["handler"] if isinstance(handler, partial) else handler
