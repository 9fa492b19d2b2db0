"""Faults of upstream processes under load: what is promised for each, counted.

Eight clients ask a load balancer, which is a process, too; upstreams write down what they carried out. In every case no
acknowledged write is missing there, none was carried out twice, every answer is the one to its request, and no client's
connection is cut: a request that fails is answered with a problem.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from .load import Kind, Load, Tally
from .raw import Client
from .test_process import free_port, listening

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CLIENTS = 8
SHORT, LONG = 1_500, 20_000
"""Requests of a run."""
FAILURES = 5
"""In a row, after which an upstream is ejected."""

STACK = """
[stack]
name = "faults"
[services.task]
port = 3001
prefixes = ["/v1"]
keyed = ["/v1/keyed"]
"""
SAFE: tuple[Kind, ...] = ("read", "put", "keyed")
"""What may be sent again."""


class Upstream:
    """One process at an address that it keeps over restarts."""

    def __init__(self, folder: Path, port: int, fault: str = "") -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._argv = [
            *(sys.executable, str(Path(__file__).with_name("ledger_upstream.py"))),
            *(str(port), str(folder), fault),
        ]
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(*self._argv, stdout=asyncio.subprocess.PIPE)
        assert self.process.stdout is not None
        assert await self.process.stdout.readline() == b"listening\n"

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> int:
        assert self.process is not None
        return await self.process.wait()

    def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()


class Field:
    """A balancer, its upstreams, and what came of a run."""

    def __init__(self, folder: Path, upstreams: list[Upstream], port: int) -> None:
        self.folder = folder
        self.upstreams = upstreams
        self.port = port
        self.load = Load(port, CLIENTS)

    @property
    def tally(self) -> Tally:
        return self.load.tally

    async def shown(self) -> dict[str, dict[str, Any]]:
        """What the balancer says of each upstream, by its address."""
        client = await Client.to("127.0.0.1", self.port)
        reply = await client.ask(b"GET /readyz?verbose HTTP/1.1\r\nHost: a\r\n\r\n")
        client.close()
        return {entry["url"]: entry for entry in msgspec.json.decode(reply.body)["upstreams"]}

    async def becomes(self, upstream: Upstream, *states: str, within_s: float = 30.0) -> None:
        """Return when the balancer sees ``upstream`` in one of ``states``."""
        async with asyncio.timeout(within_s):
            while (await self.shown())[upstream.url]["state"] not in states:  # noqa: ASYNC110 (no event)
                await asyncio.sleep(0.02)

    async def after(self, share: float, requests: int) -> None:
        """Return when this part of ``requests`` was answered."""
        while self.tally.requests < share * requests:  # noqa: ASYNC110 (no event)
            await asyncio.sleep(0.01)

    def carried_out(self) -> Counter[str]:
        """How often each write was, by its token, which is its key, too."""
        keyed = [file.name.removeprefix("key-") for file in self.folder.glob("key-*")]
        return Counter([*(self.folder / "ledger").read_text("ascii").splitlines(), *keyed])


@contextmanager
def balancer(folder: Path, port: int, urls: list[str]) -> Iterator[None]:
    """A load balancer's process at ``port``, in front of ``urls``."""
    (folder / "focushub.toml").write_text(STACK)
    told = {
        "PORT": str(port),
        "GATEWAY_URLS": ",".join(urls),
        "CHECK_INTERVAL_S": "0.4",
        "ANSWER_TIMEOUT_S": "5",
        "LOG_LEVEL": "INFO",
    }
    code = "from focushub_core.proxy.loadbalancer import LoadBalancer; LoadBalancer.run()"
    with (folder / "balancer.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=folder, env={**os.environ, **told}, stdout=log
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()


@asynccontextmanager
async def field(
    folder: Path, count: int, fault: str = "", *, also: str | None = None
) -> AsyncIterator[Field]:
    """``count`` upstreams, the first of which may become faulty; ``also`` is an origin where none of them is."""
    ports: list[int] = []
    for _ in range(count + 1):
        ports.append(free_port(ports))
    port = ports.pop()
    upstreams = [Upstream(folder, own, "" if number else fault) for number, own in enumerate(ports)]
    with ExitStack() as running:
        for upstream in upstreams:
            await upstream.start()
            running.callback(upstream.kill)
        urls = [upstream.url for upstream in upstreams]
        running.enter_context(balancer(folder, port, [also, *urls] if also else urls))
        await listening(port)
        yield Field(folder, upstreams, port)
    for upstream in upstreams:
        await upstream.ended()


# What happens -----------------------------------------------------------------------------------------------------

Happens = Callable[[Field, int], Awaitable[None]]


async def nothing(field: Field, requests: int) -> None:
    """It is at fault from the start."""


async def killed(field: Field, requests: int) -> None:
    """Killed, and started again a while later."""
    victim = field.upstreams[0]
    await field.after(0.3, requests)
    victim.kill()
    await victim.ended()
    await field.after(0.6, requests)
    await victim.start()
    await field.becomes(victim, "up")


async def frozen(field: Field, requests: int) -> None:
    """Stopped for four seconds, and continued."""
    victim = field.upstreams[0]
    await field.after(0.3, requests)
    victim.send(signal.SIGSTOP)
    await field.becomes(victim, "ejected", "down")
    await asyncio.sleep(2.0)
    victim.send(signal.SIGCONT)
    await field.becomes(victim, "up")


async def terminated(field: Field, requests: int) -> None:
    """Asked to end: it drains."""
    await field.after(0.3, requests)
    field.upstreams[0].send(signal.SIGTERM)
    assert await field.upstreams[0].ended() == 0


async def rolling(field: Field, requests: int) -> None:
    """All are replaced, one after the other."""
    await field.after(0.1, requests)
    for upstream in field.upstreams:
        upstream.send(signal.SIGTERM)
        assert await upstream.ended() == 0
        await upstream.start()
        await field.becomes(upstream, "up")


async def faulty(field: Field, requests: int) -> None:
    """At fault in the middle of it."""
    await field.after(0.3, requests)
    field.upstreams[0].send(signal.SIGUSR1)


@dataclass(frozen=True)
class Promise:
    """What holds when ``happens`` does to the first of ``upstreams``.

    ``safe``, ``unsafe``: the statuses, beside 200, that requests which may be sent again get, and those that may not.
    At most ``at_once`` requests get them each time that the upstream falls out of use: those that it had, one of each
    client at most, and where only they show it, as many as it takes. ``within_s`` every request that may be sent
    again is answered.
    """

    upstreams: int
    happens: Happens
    fault: str = ""
    safe: frozenset[int] = frozenset()
    unsafe: frozenset[int] = frozenset()
    at_once: int = 0
    within_s: float = 6.0


BAD_GATEWAY, TIMEOUT, ERROR = frozenset({502}), frozenset({504}), frozenset({500})

PROMISES = {
    "killed": Promise(2, killed, unsafe=BAD_GATEWAY, at_once=CLIENTS),
    "stopped and continued": Promise(2, frozen, within_s=3.0),
    "terminated": Promise(2, terminated),
    "rolling restart": Promise(3, rolling),
    "a byte a second": Promise(2, faulty, "slow", unsafe=TIMEOUT, at_once=CLIENTS),
    "half an answer": Promise(2, faulty, "half", unsafe=BAD_GATEWAY, at_once=CLIENTS + FAILURES),
    "only 500": Promise(2, faulty, "error", safe=ERROR, unsafe=ERROR, at_once=CLIENTS + FAILURES),
}


async def run(field: Field, promise: Promise, requests: int) -> None:
    """Keep it under load until enough requests were answered and everything has happened."""
    happening = asyncio.ensure_future(promise.happens(field, requests))
    await field.load.run(lambda: happening.done() and field.tally.requests >= requests)
    await happening


def check(field: Field, promise: Promise, times: int) -> None:
    """What was promised, where it fell out of use ``times`` times."""
    tally, carried_out = field.tally, field.carried_out()
    print(dict(sorted(tally.answers.items())), tally.slowest, f"{times} times")
    assert tally.statuses(*SAFE) <= {200} | promise.safe
    assert tally.statuses("post") <= {200} | promise.unsafe
    assert tally.failed(*SAFE, "post") <= promise.at_once * times
    assert max(tally.slowest[kind] for kind in SAFE) < promise.within_s
    assert tally.strangers == 0
    assert tally.acknowledged <= set(carried_out)
    assert set(carried_out.values()) == {1}


async def keeps(folder: Path, promise: Promise, requests: int) -> None:
    async with field(folder, promise.upstreams, promise.fault) as tried:
        await run(tried, promise, requests)
        ejections = (await tried.shown())[tried.upstreams[0].url]["ejections"]
        check(tried, promise, max(1, ejections))


@contextmanager
def hanging() -> Iterator[str]:
    """An origin whose connections are never made: the queue of those that nobody accepts is full."""
    with ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):
            queued = held.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"


async def keeps_beside(folder: Path, origin: str, requests: int) -> None:
    """Nothing fails where one of two origins cannot be connected to: no byte was sent there."""
    promise = Promise(1, nothing)
    async with field(folder, 1, also=origin) as tried:
        await run(tried, promise, requests)
        check(tried, promise, 0)


@pytest.mark.parametrize("promise", PROMISES.values(), ids=PROMISES)
async def test_a_fault_of_one_upstream_costs_what_is_promised_and_not_more(
    tmp_path: Path, promise: Promise
) -> None:
    await keeps(tmp_path, promise, SHORT)


async def test_one_that_refuses_costs_nothing(tmp_path: Path, refused: str) -> None:
    await keeps_beside(tmp_path, refused, SHORT)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a full queue refuses")
async def test_one_that_hangs_at_connect_costs_nothing(tmp_path: Path) -> None:
    with hanging() as origin:
        await keeps_beside(tmp_path, origin, SHORT)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("promise", PROMISES.values(), ids=PROMISES)
async def test_so_it_is_in_long_runs(tmp_path: Path, promise: Promise, number: int) -> None:
    await keeps(tmp_path, promise, LONG)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_so_it_is_in_long_runs_where_nobody_can_connect(
    tmp_path: Path, refused: str, number: int
) -> None:
    await keeps_beside(tmp_path, refused, LONG)
    with hanging() as origin:
        (tmp_path / "hanging").mkdir()
        await keeps_beside(tmp_path / "hanging", origin, LONG)
