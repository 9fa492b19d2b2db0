"""An upstream that stands still, on real sockets: probed after a second, and left if it is dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from focushub_core.balancer import State
from focushub_core.proxy import engine as engines
from focushub_core.proxy.frozen import FrozenProbe

from .conftest import Bench, Front, until

pytestmark = pytest.mark.slow


class Replica:
    """Answers while it is not ``frozen``, and ``/livez`` while it is ``alive``: it counts what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.frozen = False
        self.alive = False
        self.thawed = asyncio.Event()
        self.asked: list[str] = []
        self.probes = 0

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split(" ", 2)
            if path == "/livez":
                self.probes += 1
                if self.frozen and not self.alive:
                    await self.thawed.wait()
            else:
                if length := head.lower().partition("content-length: ")[2]:
                    await reader.readexactly(int(length.split("\r\n")[0]))
                self.asked.append(method)
                if self.frozen:
                    await self.thawed.wait()
            body = self.name.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


Begin = Callable[..., Awaitable[tuple[Front, engines.Engine]]]


@pytest_asyncio.fixture
async def begin(bench: Bench) -> AsyncIterator[Begin]:
    probes: list[FrozenProbe] = []

    async def start(
        *replicas: Replica, keyed: tuple[str, ...] = (), answer_s: float = 30.0
    ) -> tuple[Front, engines.Engine]:
        urls = [await bench.script(replica.script) for replica in replicas]
        front, engine = await bench.engine(*urls, timeouts=engines.Timeouts(answer_s=answer_s), keyed=keyed)
        probe = FrozenProbe(front.pool, engine)
        probe.start()
        probes.append(probe)
        return front, engine

    yield start
    for probe in probes:
        probe.close()


async def ask(front: Front, method: str = "GET", path: str = "/", **sent: str) -> tuple[int, str, float]:
    started = time.monotonic()
    async with front.client.request(method, path, headers=sent) as answer:
        text = await answer.text()
        return answer.status, text, time.monotonic() - started


async def test_what_waits_at_a_frozen_upstream_goes_elsewhere_within_two_seconds(begin: Begin) -> None:
    a, b = Replica("a"), Replica("b")
    front, engine = await begin(a, b)
    a.frozen = True
    replies = await asyncio.gather(*(ask(front, method) for method in ("GET", "GET", "PUT", "DELETE")))

    assert [reply[:2] for reply in replies] == [(200, "b")] * 4
    assert 1.0 < max(reply[2] for reply in replies) < 2.5
    assert front.pool.upstreams[0].health.state(engine.clock()) is State.EJECTED
    assert (a.probes, front.pool.retries["frozen"]) == (1, 2)
    assert (await ask(front))[:2] == (200, "b")
    a.thawed.set()


async def test_a_slow_one_that_is_alive_is_left_alone_and_probed_again_only_after_a_second(
    begin: Begin,
) -> None:
    a = Replica("a")
    front, engine = await begin(a, Replica("b"))
    a.frozen = a.alive = True
    running = asyncio.create_task(ask(front))
    await until(lambda: a.probes == 1)
    first = time.monotonic()
    await until(lambda: a.probes == 2)
    a.thawed.set()

    assert time.monotonic() - first > 0.8
    assert (await running)[:2] == (200, "a")
    assert front.pool.upstreams[0].health.state(engine.clock()) is State.UNKNOWN
    assert a.asked == ["GET"]


async def test_more_requests_than_the_budget_of_retries_go_elsewhere(begin: Begin) -> None:
    a, b = Replica("a"), Replica("b")
    front, _ = await begin(a, b)
    a.frozen = True
    replies = await asyncio.gather(*(ask(front) for _ in range(80)))

    assert {reply[:2] for reply in replies} == {(200, "b")}
    assert front.pool.retries["frozen"] == 40
    a.thawed.set()


async def test_a_post_without_a_key_waits_for_it_and_is_never_sent_twice(begin: Begin) -> None:
    a, b = Replica("a"), Replica("b")
    front, engine = await begin(a, b, keyed=("/keyed",))
    a.frozen = True
    running = asyncio.create_task(ask(front, "POST", "/keyed"))
    await until(lambda: front.pool.upstreams[0].health.state(engine.clock()) is State.EJECTED)
    a.thawed.set()

    assert (await running)[:2] == (200, "a")
    assert (a.asked, b.asked) == (["POST"], [])


async def test_one_with_a_key_that_its_route_keeps_goes_elsewhere(begin: Begin) -> None:
    a, b = Replica("a"), Replica("b")
    front, _ = await begin(a, b, keyed=("/keyed",))
    a.frozen = True

    assert (await ask(front, "POST", "/keyed/x", **{"Idempotency-Key": "7f"}))[:2] == (200, "b")
    a.thawed.set()


async def test_when_all_are_frozen_it_is_a_504_at_the_deadline(begin: Begin) -> None:
    a, b = Replica("a"), Replica("b")
    front, _ = await begin(a, b, answer_s=4.0)
    a.frozen = b.frozen = True
    status, _, seconds = await ask(front)

    assert status == 504
    assert 3.9 < seconds < 5.5
    assert (a.asked, b.asked) == (["GET"], ["GET"])
    a.thawed.set()
    b.thawed.set()


async def test_the_only_one_is_waited_for(begin: Begin) -> None:
    a = Replica("a")
    front, engine = await begin(a)
    a.frozen = True
    running = asyncio.create_task(ask(front))
    await until(lambda: front.pool.upstreams[0].health.state(engine.clock()) is State.EJECTED)
    a.thawed.set()

    assert (await running)[:2] == (200, "a")


@pytest.mark.parametrize("begun", [True, False])
async def test_an_answer_that_has_begun_is_not_asked_for_again(
    bench: Bench, begin: Begin, begun: bool
) -> None:
    """A large one, of which the client has the head; a small one, which nobody has seen anything of, is."""
    length = 1_000_000 if begun else 100
    thawed = asyncio.Event()

    async def stops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/livez" in await reader.readuntil(b"\r\n\r\n"):
            await thawed.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
        await thawed.wait()
        writer.write(b"x" * length)
        await writer.drain()

    b = Replica("b")
    front, engine = await bench.engine(await bench.script(stops), await bench.script(b.script))
    probe = FrozenProbe(front.pool, engine)
    probe.start()
    running = asyncio.create_task(ask(front))
    await until(lambda: front.pool.upstreams[0].health.frozen)
    thawed.set()

    assert len((await running)[1]) == (length if begun else 1)
    assert b.asked == ([] if begun else ["GET"])
    probe.close()
