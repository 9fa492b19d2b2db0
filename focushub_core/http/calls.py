"""Calls to other services on behalf of the request that is being served.

An aiohttp client does all of it by one word::

    session = aiohttp.ClientSession(middlewares=(on_behalf,))

For any other client, `fields` are the header fields to send along.
"""

from __future__ import annotations

import asyncio

import aiohttp

from focushub_core import deadline
from focushub_core.errors import GatewayTimeout
from focushub_core.telemetry import trace
from focushub_core.telemetry.context import HEADER, request_id

LIMIT_S = 30.0
"""How long a call waits for the answer's head, where the request itself has no deadline."""


def fields(limit: float = LIMIT_S) -> dict[str, str]:
    """The request's id, what is left of its time (``limit`` seconds at most), and its trace."""
    return {**_told(limit), **trace.fields()}


async def on_behalf(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """A middleware for aiohttp's client: sends `fields` along, and has the call recorded where the request's trace is.

    Raises GatewayTimeout where no answer begins before the request's own deadline.
    """
    with trace.calling(request.method, str(request.url)) as call:
        request.headers.update({**_told(LIMIT_S), **call.fields})
        try:
            async with asyncio.timeout(max(0.0, deadline.left(LIMIT_S))):
                response = await handler(request)
        except TimeoutError:
            raise GatewayTimeout("no answer in time", code="upstream_timeout") from None
        call.answered(response.status)
        return response


def _told(limit: float) -> dict[str, str]:
    ident = request_id.get()
    return {**({} if ident is None else {HEADER: ident}), **deadline.field(limit)}
