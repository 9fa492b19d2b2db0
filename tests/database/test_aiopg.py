"""What is the second driver's own."""

from __future__ import annotations

import asyncio

import pytest

from focushub_core.errors import Unavailable

aiopg_driver = pytest.importorskip(
    "focushub_core.database.aiopg_driver",
    reason="wants the extra [aiopg] (tox -e aiopg)",
    exc_type=ImportError,
)
uvloop = pytest.importorskip("uvloop")

REFUSED = "postgresql://nobody:x@127.0.0.1:1/nothing"


def test_after_a_refused_connection_the_next_one_is_made(database_url: str) -> None:
    """On uvloop, which the descriptor of the refused one was left with: whoever got its number waited for ever."""

    async def refused_then_made() -> None:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await aiopg_driver.connect(REFUSED, timeout=2, name="test")
            session = await aiopg_driver.connect(database_url, timeout=2, name="test")
            await session.close(2)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(refused_then_made())
