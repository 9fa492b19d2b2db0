"""Asks a service something on the gateway's own account: a small GET, sent again to another replica if need be.

Rules that hold here:

* A service of which no replica is fit (down, ejected, not ready) is not asked: who waits for several has their answer.
  What clients send to it is still tried; its health is looked at four times as often meanwhile.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import lru_cache, partial

from focushub_core import deadline
from focushub_core.balancer import Pool
from focushub_core.errors import FocusHubError, GatewayTimeout
from focushub_core.proxy.engine import Engine
from focushub_core.proxy.engine.call import Call, Reply
from focushub_core.proxy.engine.links import nobody
from focushub_core.proxy.http1 import lines
from focushub_core.telemetry import trace
from focushub_core.telemetry.context import HEADER, request_id

__all__ = ["Reply", "UpstreamClient"]

TIMEOUT_S = 5.0
_TARGET = re.compile(rb"/[!-~]*")


class UpstreamClient:
    """Sends requests by ``engine``, on the connections that it keeps."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, pool: Pool, path: str, block: bytes) -> asyncio.Future[Reply]:
        """GET ``path`` of one of ``pool``: a reply comes, or the last one's problem. Cancel it when it is late.

        ``block`` are field lines (`fields_for`); of several requests at once they are the same.
        """
        now = self._engine.clock()
        if not pool.fit(now):
            return _refused()
        if (told := trace.current.get()) is None:
            return Call(self._engine, pool, _target(path), block).begin(now)
        call = told.calling("GET", f"http://{pool.name}{path}", inner=True)
        reply = Call(self._engine, pool, _target(path), block + _lines(call.fields)).begin(now)
        reply.add_done_callback(partial(_over, call))
        return reply

    async def get(self, pool: Pool, path: str, fields: Mapping[str, str]) -> Reply:
        """The answer of one of ``pool`` to GET ``path``; raises the last upstream's problem if none answers."""
        try:
            async with asyncio.timeout(deadline.left(TIMEOUT_S)):
                return await self.begin(pool, path, fields_for(fields))
        except TimeoutError:
            raise GatewayTimeout("no answer in time", code="upstream_timeout") from None


def fields_for(fields: Mapping[str, str]) -> bytes:
    """``fields`` as lines, with the id of the request that is being served and what is left of its time."""
    sent = {**fields, HEADER: request_id.get() or "", **deadline.field(TIMEOUT_S)}
    return _lines(sent)


def _lines(fields: Mapping[str, str]) -> bytes:
    given = [(name.encode(), value.encode("latin-1")) for name, value in fields.items() if value]
    block = lines(given)
    if block.count(b"\n") != len(given):
        raise ValueError("a field may not hold what ends a line")
    return block


@lru_cache(1024)
def _target(path: str) -> bytes:
    target = path.encode()
    if not _TARGET.fullmatch(target):
        raise ValueError(f"this is no path to ask for: {path!r}")
    return target


def _over(call: trace.Call, reply: asyncio.Future[Reply]) -> None:
    """What became of a call, for its trace."""
    error = None if reply.cancelled() else reply.exception()
    if reply.cancelled() or error is not None:
        call.failed(error.code if isinstance(error, FocusHubError) else "given_up")
    else:
        call.answered(reply.result().status)
    call.__exit__(None, None, None)


def _refused() -> asyncio.Future[Reply]:
    reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    reply.set_exception(nobody())
    return reply
