"""Names on real sockets: a fake name server says where replicas are, and requests follow."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
import pytest_asyncio

from focushub_core.balancer import Upstream
from focushub_core.proxy.engine import Engine
from focushub_core.proxy.names import system
from focushub_core.proxy.watch import Watch

from .conftest import Bench, Front, until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="wants 127.0.0.2 and its like")

INTERVAL_S = 0.05


class NameServer:
    """Answers with ``addresses``; an empty list means that the name does not resolve."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if not self.addresses:
            raise OSError("no such name")
        return self.addresses


class Replica:
    """A server at one address that says who it is, and which Host it was asked for."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.hosts: set[bytes] = set()
        self.connections: set[asyncio.StreamWriter] = set()
        self.hold: asyncio.Event | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.hosts |= {line for line in head.split(b"\r\n") if line.startswith(b"Host:")}
                if self.hold is not None and b"/slow" in head:
                    await self.hold.wait()
                body = self.address.encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()


async def alive(_: Upstream) -> int:
    return 200


Begin = Callable[..., Awaitable[tuple[Front, Engine]]]


@pytest_asyncio.fixture
async def replicas() -> AsyncIterator[tuple[int, list[Replica]]]:
    """Three replicas, at three addresses and the same port."""
    made = [Replica(f"127.0.0.{number}") for number in (2, 3, 4)]
    first = await asyncio.start_server(made[0].serve, made[0].address, 0)
    port = first.sockets[0].getsockname()[1]
    servers = [first, *[await asyncio.start_server(one.serve, one.address, port) for one in made[1:]]]
    yield port, made
    for server in servers:
        server.close()
    for writer in [writer for one in made for writer in one.connections]:
        writer.transport.abort()
    await until(lambda: not any(one.connections for one in made))


@pytest_asyncio.fixture
async def begin(bench: Bench, replicas: tuple[int, list[Replica]]) -> AsyncIterator[Begin]:
    """Starts a proxy for ``http://gateway:PORT`` that looks it up by what it is given."""
    watches: list[Watch] = []

    async def start(look_up: NameServer) -> tuple[Front, Engine]:
        front, engine = await bench.engine(f"http://gateway:{replicas[0]}")
        watch = Watch(front.pool, engine, alive, check_s=0.05, resolve_s=INTERVAL_S, look_up=look_up)
        await watch.start()
        watches.append(watch)
        return front, engine

    yield start
    for watch in watches:
        await watch.close()


async def served(front: Front, count: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    for _ in range(count):
        async with front.client.get("/") as answer:
            seen[await answer.text() if answer.status == 200 else str(answer.status)] += 1
    return seen


async def test_all_addresses_of_a_name_take_turns_and_are_asked_by_its_name(
    begin: Begin, replicas: tuple[int, list[Replica]]
) -> None:
    port, made = replicas
    front, _ = await begin(NameServer("127.0.0.2", "127.0.0.3", "127.0.0.4"))

    assert await served(front, 30) == {"127.0.0.2": 10, "127.0.0.3": 10, "127.0.0.4": 10}
    assert made[0].hosts == {b"Host: gateway:%d" % port}


async def test_a_replica_that_moves_or_joins_is_found_and_the_old_one_gets_nothing_more(
    begin: Begin, replicas: tuple[int, list[Replica]]
) -> None:
    _, (old, *_) = replicas
    names = NameServer("127.0.0.2")
    front, _ = await begin(names)
    assert await served(front, 3) == {"127.0.0.2": 3}

    names.addresses = ["127.0.0.3", "127.0.0.4"]
    await until(lambda: len(front.pool.upstreams) == 2)

    assert await served(front, 10) == {"127.0.0.3": 5, "127.0.0.4": 5}
    await until(lambda: not old.connections)  # what idled there is closed


async def test_what_runs_at_an_address_that_leaves_is_finished_and_its_connection_closed(
    begin: Begin, replicas: tuple[int, list[Replica]]
) -> None:
    _, (old, *_) = replicas
    old.hold = asyncio.Event()
    names = NameServer("127.0.0.2")
    front, _ = await begin(names)
    running = asyncio.create_task(front.client.get("/slow").__aenter__())
    await until(lambda: front.pool.upstreams[0].in_flight == 1)

    names.addresses = ["127.0.0.3"]
    await until(lambda: front.pool.upstreams[0].url.startswith("http://127.0.0.3"))
    old.hold.set()

    assert await (await running).text() == "127.0.0.2"
    await until(lambda: not old.connections)


async def test_a_name_that_does_not_resolve_any_more_keeps_its_addresses(begin: Begin) -> None:
    names = NameServer("127.0.0.2", "127.0.0.3")
    front, _ = await begin(names)
    names.addresses = []
    asked = len(names.asked)
    await until(lambda: len(names.asked) > asked + 2)

    assert await served(front, 10) == {"127.0.0.2": 5, "127.0.0.3": 5}


async def test_without_any_address_it_is_503_at_once_and_heals_by_itself(begin: Begin) -> None:
    names = NameServer()
    front, _ = await begin(names)
    started = time.monotonic()
    for method in ("GET", "POST"):
        async with front.client.request(method, "/") as answer:
            problem = await answer.json(content_type="application/problem+json")
            assert (answer.status, problem["code"]) == (503, "upstream_unreachable")
    assert time.monotonic() - started < 0.5

    names.addresses = ["127.0.0.2"]
    await until(lambda: front.pool.upstreams)

    assert await served(front, 3) == {"127.0.0.2": 3}


async def test_who_joins_is_checked_from_then_on(begin: Begin) -> None:
    names = NameServer("127.0.0.2")
    front, engine = await begin(names)
    names.addresses = ["127.0.0.2", "127.0.0.3"]
    await until(lambda: len(front.pool.up(engine.clock())) == 2)


async def test_an_address_is_never_looked_up(bench: Bench) -> None:
    names = NameServer()
    front, engine = await bench.engine("http://127.0.0.1:1", "http://[::1]:1")
    watch = Watch(front.pool, engine, alive, resolve_s=0.01, look_up=names)
    await watch.start()
    await asyncio.sleep(0.05)
    await watch.close()

    assert names.asked == []
    assert len(front.pool.upstreams) == 2


async def test_the_system_knows_this_machine_and_says_when_it_does_not_know_a_name() -> None:
    assert {"127.0.0.1", "::1"} & set(await system("localhost"))
    for unknown in ("nobody.invalid", "a" * 64):
        with pytest.raises(OSError):  # noqa: PT011 (its words are the system's)
            await system(unknown)
