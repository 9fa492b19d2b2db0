"""Each request's deadline, taken up where it comes in (`focushub_core.deadline`)."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from focushub_core import deadline


def middleware(limit: float) -> Any:
    """Gives each request what its sender still waits, at most ``limit`` seconds."""

    @web.middleware
    async def deadlines(request: web.Request, handler: Handler) -> web.StreamResponse:
        # Not reset at the end: the next request on the connection (the same task) sets its own.
        deadline.start(deadline.take_up(request.headers.get(deadline.HEADER), limit))
        return await handler(request)

    return deadlines
