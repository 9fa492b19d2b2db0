"""A key holds across processes, and when one dies: several real ones on one real database."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest_asyncio

from focushub_core.database import Database, migrate
from focushub_core.embedded.ports import free_port
from focushub_core.testing import TokenMint

from .mortal import SCHEMA

SCRIPT = Path(__file__).with_name("mortal.py")
DEADLINE_S = 20.0


class Payer:
    """Somebody who pays, each time with the same key and amount."""

    def __init__(self, session: aiohttp.ClientSession, token: str) -> None:
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "the-one"}

    async def pay(self, url: str, die: str = "") -> tuple[int, str, bool]:
        """Status, the payment's id or the problem's code, and whether it was replayed."""
        headers = self._headers | {"X-Die": die}
        async with self._session.post(f"{url}/v1/payments", json={"amount": 7}, headers=headers) as answer:
            body = await answer.json(content_type=None)
            return answer.status, body.get("id") or body["code"], "Idempotency-Replayed" in answer.headers

    async def until_answered(self, url: str) -> tuple[int, str, bool]:
        """Asks again while a request with the key is at work: PostgreSQL has to notice that its session is gone."""
        end = time.monotonic() + DEADLINE_S
        found = await self.pay(url)
        while found[0] == 409 and time.monotonic() < end:
            await asyncio.sleep(0.02)
            found = await self.pay(url)
        return found


class Processes:
    """Service processes on one database; the first kill takes only itself."""

    def __init__(self, url: str, mint: TokenMint, running: ExitStack) -> None:
        self._environ = os.environ | {
            "DATABASE_URL": url,
            "JWKS": mint.document().decode(),
            "LOG_LEVEL": "ERROR",
        }
        self._running = running

    async def start(self) -> str:
        """One more; its address, when it is ready."""
        port = free_port()
        process = self._run(port)
        url, end = f"http://127.0.0.1:{port}", time.monotonic() + DEADLINE_S
        async with aiohttp.ClientSession() as session:
            while not await _ready(session, url):
                assert process.poll() is None, "it did not start"
                assert time.monotonic() < end, "it did not start in time"
                await asyncio.sleep(0.05)
        return url

    def _run(self, port: int) -> subprocess.Popen[bytes]:
        environ = self._environ | {"PORT": str(port)}
        process = subprocess.Popen([sys.executable, str(SCRIPT)], env=environ, cwd=SCRIPT.parent)
        self._running.callback(process.wait)
        self._running.callback(process.kill)
        return process


async def _ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


Start = Callable[[], Awaitable[str]]


@pytest_asyncio.fixture
async def mint() -> TokenMint:
    return TokenMint()


@pytest_asyncio.fixture
async def start(database_url: str, mint: TokenMint) -> AsyncIterator[Start]:
    await migrate(database_url, (SCHEMA,))
    with ExitStack() as running:
        yield Processes(database_url, mint, running).start


@pytest_asyncio.fixture
async def payer(mint: TokenMint) -> AsyncIterator[Payer]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE_S)) as session:
        yield Payer(session, mint.token(uuid4()))


@pytest_asyncio.fixture
async def payments(database_url: str) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """How many payments there are."""
    database = Database()
    await database.open(database_url)
    yield lambda: database.fetchval("SELECT count(*) FROM payments")
    await database.close()


async def killed(payer: Payer, url: str, die: str) -> None:
    try:
        answered = await payer.pay(url, die)
    except aiohttp.ClientConnectionError:
        return
    raise AssertionError(f"it was answered: {answered}")


async def test_killed_before_its_answer_the_next_process_replays_it(
    start: Start, payer: Payer, payments: Callable[[], Awaitable[int]]
) -> None:
    """The effect and the answer were written together."""
    await killed(payer, await start(), "before")
    assert await payments() == 1
    other = await start()
    status, payment, replayed = await payer.until_answered(other)
    assert (status, replayed, await payments()) == (201, True, 1)
    assert await payer.pay(other) == (201, payment, True)


async def test_killed_in_the_midst_nothing_was_done_and_the_next_process_does_it(
    start: Start, payer: Payer, payments: Callable[[], Awaitable[int]]
) -> None:
    """PostgreSQL gives back the lock of a process that is gone."""
    await killed(payer, await start(), "midst")
    status, _, replayed = await payer.until_answered(await start())
    assert (status, replayed, await payments()) == (201, False, 1)


async def test_two_processes_at_once_act_once(
    start: Start, payer: Payer, payments: Callable[[], Awaitable[int]]
) -> None:
    """Of forty requests one acts; the others are replays of it, or told that it is at work."""
    urls = await asyncio.gather(start(), start())
    found = await asyncio.gather(*(payer.pay(urls[number % 2]) for number in range(40)))
    assert await payments() == 1
    acted = [payment for status, payment, replayed in found if status == 201 and not replayed]
    assert len(acted) == 1
    others = {(status, said) for status, said, replayed in found if replayed or status != 201}
    assert others <= {(201, acted[0]), (409, "idempotency_key_in_use")}
    assert await payer.until_answered(urls[1]) == (201, acted[0], True)
