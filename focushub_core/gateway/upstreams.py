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
from focushub_core.errors import GatewayTimeout
from focushub_core.proxy.engine import Engine
from focushub_core.proxy.engine.call import Call, Reply
from focushub_core.proxy.engine.links import nobody
from focushub_core.telemetry import trace
from focushub_core.telemetry.context import HEADER, request_id

__all__ = ["Reply", "UpstreamClient"]

TIMEOUT_S = 5.0
_TARGET = re.compile(rb"/[!-~]*")


class UpstreamClient:
    """Sends requests by ``engine``, on the connections that it keeps."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, pool: Pool, path: str, block: bytes) -> Call:
        """GET ``path`` of one of ``pool``: a reply comes, or the last one's problem. Cancel it when it is late.

        ``block`` are field lines (`fields_for`); of several requests at once they are the same.
        """
        engine, fit = self._engine, pool.fit(now := self._engine.clock())
        if not fit or (told := trace.current.get()) is None:
            call = Call(engine, pool, _target(path), block)
        else:
            traced = told.calling("GET", f"http://{pool.name}{path}", inner=True)
            call = Call(engine, pool, _target(path), block + _lines(traced.fields))
            call.watch = partial(_over, traced)
        if fit:
            call.begin(now)
        else:
            call.end(None, nobody())
        return call

    async def get(self, pool: Pool, path: str, fields: Mapping[str, str]) -> Reply:
        """The answer of one of ``pool`` to GET ``path``; raises the last upstream's problem if none answers."""
        over = asyncio.Event()
        call = self.begin(pool, path, fields_for(fields))
        call.tell(lambda _: over.set())
        try:
            async with asyncio.timeout(deadline.left(TIMEOUT_S)):
                await over.wait()
        except TimeoutError:
            raise GatewayTimeout("no answer in time", code="upstream_timeout") from None
        finally:
            call.cancel()
        reply = call.result()
        assert reply is not None
        return reply


def fields_for(fields: Mapping[str, str]) -> bytes:
    """``fields`` as lines, with the id of the request that is being served and what is left of its time."""
    sent = {**fields, HEADER: request_id.get() or "", **deadline.field(TIMEOUT_S)}
    return _lines(sent)


def _lines(fields: Mapping[str, str]) -> bytes:
    given = [f"{name}: {value}\r\n" for name, value in fields.items() if value]
    block = "".join(given)
    if block.count("\n") != len(given):
        raise ValueError("a field may not hold what ends a line")
    return block.encode("latin-1")


@lru_cache(1024)
def _target(path: str) -> bytes:
    target = path.encode()
    if not _TARGET.fullmatch(target):
        raise ValueError(f"this is no path to ask for: {path!r}")
    return target


def _over(traced: trace.Call, call: Call) -> None:
    """What became of a call, for its trace."""
    if call.problem is not None:
        traced.failed(call.problem.code)
    elif call.reply is None:
        traced.failed("given_up")
    else:
        traced.answered(call.reply.status)
    traced.__exit__(None, None, None)
