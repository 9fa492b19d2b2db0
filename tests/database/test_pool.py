"""The pool, with sessions that are made up: its rules need no server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focushub_core.database.driver import Record
from focushub_core.database.errors import unavailable
from focushub_core.database.pool import Pool
from focushub_core.errors import Unavailable


class FakeSession:
    """A session that is as broken as a test wants it."""

    def __init__(self) -> None:
        self.broken_off = False
        self.needs_care = False
        self.recovers = True
        self.closed = False

    async def fetch(
        self, sql: str, args: Sequence[Any], timeout: float | None, *, first: bool = False
    ) -> list[Record]:
        return []

    async def execute(self, sql: str, args: Sequence[Any], timeout: float | None) -> str:
        return ""

    async def recover(self, timeout: float) -> bool:
        await asyncio.sleep(0)
        self.needs_care = False
        return self.recovers

    async def close(self, timeout: float) -> None:
        self.closed = True

    def terminate(self) -> None:
        self.closed = True

    def is_closed(self) -> bool:
        return self.closed


class Server:
    """What the pool connects to. ``away``: refuses. ``frozen``: never answers."""

    def __init__(self) -> None:
        self.sessions: list[FakeSession] = []
        self.away = False
        self.thawed = asyncio.Event()
        self.thawed.set()

    async def connect(self) -> FakeSession:
        await self.thawed.wait()
        if self.away:
            raise unavailable()
        self.sessions.append(FakeSession())
        return self.sessions[-1]

    @property
    def open(self) -> int:
        return sum(not session.closed for session in self.sessions)


def _pool(server: Server, *, min_size: int = 0, max_size: int = 2, idle_timeout: float = 60) -> Pool:
    return Pool(server.connect, min_size=min_size, max_size=max_size, idle_timeout=idle_timeout)


async def _turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_waiters_are_served_in_the_order_in_which_they_came() -> None:
    """Also when newcomers ask in the very turn in which a session comes back."""
    pool = _pool(Server(), max_size=1)
    order: list[int] = []

    async def user(number: int) -> None:
        session = await pool.acquire(5)
        order.append(number)
        await asyncio.sleep(0)
        pool.release(session)

    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(user(number))
            if number % 3 == 0:
                await asyncio.sleep(0)
    assert list(range(30)) == order


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["use", "break", "care", "lost", "cancel"]))),
)
def test_whatever_users_do_the_limit_holds_and_nothing_is_lost(
    max_size: int, users: list[tuple[int, str]]
) -> None:
    """Every use ends, never more than ``max_size`` sessions are open, and all are free at the end."""

    async def scenario() -> None:
        server = Server()
        pool = _pool(server, max_size=max_size)

        async def user(turns: int, kind: str) -> None:
            session = await pool.acquire(5)
            assert isinstance(session, FakeSession)
            try:
                assert server.open <= max_size
                await _turns(turns)
                session.closed = kind == "break"
                session.needs_care = kind in {"care", "lost"}
                session.recovers = kind != "lost"
            finally:
                pool.release(session)

        tasks = [asyncio.create_task(user(*one)) for one in users]
        await asyncio.sleep(0)
        for task, (_, kind) in zip(tasks, users, strict=True):
            if kind == "cancel":
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [one for one in results if isinstance(one, Exception)] == []
        await _turns(20)
        assert (server.open, server.open, 0) == (pool.status.size, pool.status.idle, pool.status.waiting)
        await pool.close()
        assert server.open == 0

    asyncio.run(scenario())


async def test_a_full_pool_is_unavailable_at_the_deadline() -> None:
    pool = _pool(Server(), max_size=1)
    session = await pool.acquire(1)
    started = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable) as caught:
        await pool.acquire(0.05)
    assert asyncio.get_running_loop().time() - started < 0.5
    assert (caught.value.code, caught.value.headers["Retry-After"]) == ("database_unavailable", "1")
    pool.release(session)
    assert (await pool.acquire(1), 0) == (session, pool.status.waiting)


async def test_a_server_that_is_away_fails_all_waiters_at_once() -> None:
    """Nobody waits for its deadline, and the next one tries anew."""
    server = Server()
    server.away = True
    pool = _pool(server)
    results = await asyncio.gather(*(pool.acquire(60) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in results)
    server.away = False
    assert await pool.acquire(1) is server.sessions[0]


async def test_a_frozen_server_costs_each_waiter_its_deadline_and_no_more_openings() -> None:
    """Once it thaws the openings that hung serve the next."""
    server = Server()
    server.thawed.clear()
    pool = _pool(server, max_size=2)
    results = await asyncio.gather(*(pool.acquire(0.05) for _ in range(9)), return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in results)
    assert (pool.status.opening, pool.status.waiting) == (2, 0)
    server.thawed.set()
    await _turns()
    assert pool.take() is not None


async def test_a_session_that_needs_care_is_not_given_out_before_it_has_recovered() -> None:
    server = Server()
    pool = _pool(server, max_size=1)
    session = await pool.acquire(1)
    assert isinstance(session, FakeSession)
    session.needs_care = True
    pool.release(session)
    assert pool.take() is None
    assert (await pool.acquire(1), False) == (session, session.needs_care)


async def test_a_session_that_does_not_recover_is_replaced() -> None:
    server = Server()
    pool = _pool(server, max_size=1)
    session = await pool.acquire(1)
    assert isinstance(session, FakeSession)
    session.needs_care, session.recovers = True, False
    pool.release(session)
    assert (await pool.acquire(1), True) == (server.sessions[1], session.closed)


async def test_a_session_that_broke_while_it_lay_idle_is_passed_over() -> None:
    server = Server()
    pool = _pool(server)
    first = await pool.acquire(1)
    pool.release(first)
    server.sessions[0].closed = True
    assert await pool.acquire(1) is server.sessions[1]


async def test_a_waiter_that_is_cancelled_as_it_is_served_gives_the_session_back() -> None:
    pool = _pool(Server(), max_size=1)
    session = await pool.acquire(1)
    waiting = asyncio.create_task(pool.acquire(5))
    await asyncio.sleep(0)
    pool.release(session)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert pool.take() is session


async def test_a_check_goes_before_all_who_wait() -> None:
    pool = _pool(Server(), max_size=1)
    session = await pool.acquire(1)
    later = asyncio.create_task(pool.acquire(5))
    await asyncio.sleep(0)
    check = asyncio.create_task(pool.acquire(5, first=True))
    await asyncio.sleep(0)
    pool.release(session)
    await asyncio.sleep(0)
    assert (check.done(), later.done()) == (True, False)
    pool.release(await check)
    assert await later is session


async def test_idle_sessions_beyond_the_smallest_size_are_closed() -> None:
    server = Server()
    pool = _pool(server, min_size=1, max_size=3, idle_timeout=0.02)
    pool.start()
    for session in [await pool.acquire(1) for _ in range(3)]:
        pool.release(session)
    async with asyncio.timeout(5):
        while server.open > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert pool.status.size == 1
    await pool.close()


async def test_closing_fails_who_waits_and_cuts_what_is_in_use() -> None:
    server = Server()
    pool = _pool(server, max_size=1)
    await pool.acquire(1)
    waiting = asyncio.create_task(pool.acquire(60))
    await asyncio.sleep(0)
    await pool.close()
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable):
        await pool.acquire(1)
    assert server.open == 0


async def test_a_check_gets_one_more_than_all_and_it_is_closed_again() -> None:
    """Whoever holds the others may hold them for long."""
    server = Server()
    pool = _pool(server, max_size=2)
    held = [await pool.acquire(1) for _ in range(2)]
    later = asyncio.create_task(pool.acquire(5))
    await asyncio.sleep(0)
    checks = [asyncio.create_task(pool.acquire(5, first=True)) for _ in range(3)]
    await _turns()
    assert (server.open, [check.done() for check in checks].count(True), later.done()) == (3, 1, False)
    pool.release(next(check.result() for check in checks if check.done()))
    await _turns()
    assert server.open == 2
    for session in held:
        pool.release(session)
    await asyncio.gather(*(check for check in checks if not check.done()))
    await pool.close()
