"""A call on the gateway's own account, cancelled at the worst moment."""

from __future__ import annotations

import asyncio

import pytest

from focushub_core.proxy.engine.call import Call

from .conftest import Bench, until


@pytest.mark.parametrize(
    "late",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_an_answer_that_comes_with_the_cancellation_is_nobodys(bench: Bench, late: bytes) -> None:
    """Who waited may give up in the very turn of the loop in which the answer is read."""

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    front, engine = await bench.engine(await bench.script(silent))
    told: list[Call] = []
    call = Call(engine, front.pool, b"/", b"")
    call.begin(engine.clock())
    call.tell(told.append)
    await until(lambda: call._link)
    link = call._link
    assert link is not None
    call.cancel()
    link.data_received(late)
    await asyncio.sleep(0)
    assert call.result() is None
    assert not told
    assert [upstream.in_flight for upstream in front.pool.upstreams] == [0]
