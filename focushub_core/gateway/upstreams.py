"""Asks a service something on the gateway's own account: a small GET, sent again to another replica if need be."""

from __future__ import annotations

import time

import aiohttp

from focushub_core import deadline
from focushub_core.balancer import Outcome, Pool, Upstream
from focushub_core.errors import BadGateway, FocusHubError, GatewayTimeout, Unavailable
from focushub_core.gateway.aggregate import Reply
from focushub_core.telemetry.context import HEADER, request_id

TIMEOUT_S = 5.0
LARGEST = 1024 * 1024
"""Bytes of an answer."""


class UpstreamClient:
    """A client with kept connections. `start` it in a running loop, `close` it there."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=1.0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def get(self, pool: Pool, path: str, fields: dict[str, str]) -> Reply:
        """The answer of one of ``pool`` to GET ``path``; raises the last upstream's problem if none answers."""
        sent = {**fields, HEADER: request_id.get() or "", **deadline.field(TIMEOUT_S)}
        tried: list[Upstream] = []
        problem: FocusHubError = Unavailable(
            "nobody who serves this can be reached", code="upstream_unreachable"
        )
        while (upstream := pool.choose(time.monotonic(), tried)) is not None:
            tried.append(upstream)
            try:
                with upstream.busy():
                    reply = await self._ask(upstream.url + path, sent)
            except FocusHubError as error:
                upstream.health.observed(Outcome.UNREACHABLE, time.monotonic())
                problem = error
            else:
                upstream.health.observed(Outcome.ANSWERED, time.monotonic())
                return reply
        raise problem

    async def _ask(self, url: str, fields: dict[str, str]) -> Reply:
        assert self._session is not None, "start() comes first"
        try:
            async with self._session.get(url, headers=fields, allow_redirects=False) as answer:
                return Reply(answer.status, await _read(answer))
        except TimeoutError:
            raise GatewayTimeout("no answer in time", code="upstream_timeout") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable("nobody who serves this can be reached", code="upstream_unreachable") from error


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > LARGEST:
            raise BadGateway("the answer is too large", code="upstream_invalid")
    return bytes(body)
