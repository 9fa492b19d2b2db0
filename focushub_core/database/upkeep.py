"""What a service does to its database by itself, now and then: purging what is over.

Rules that hold here:

* Each of several instances does it: the work must not mind, and does not wait for locks.
* It fails nobody: what goes wrong is logged, and done the next time.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from focushub_core.errors import FocusHubError

PERIOD = 3600.0
"""Seconds between one round and the next; the first comes after a part of it, another for each instance."""

Work = Callable[[], Awaitable[object]]
_log = logging.getLogger("focushub.database")


@asynccontextmanager
async def kept_up(work: Sequence[Work], period: float = PERIOD) -> AsyncIterator[None]:
    """Does ``work`` every ``period`` seconds while the block lasts."""
    if not work:
        yield
        return
    task = asyncio.create_task(_go_on(work, period))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _go_on(work: Sequence[Work], period: float) -> None:
    await asyncio.sleep(period * random.random())  # noqa: S311 - no secret, only not all at once
    while True:
        await once(work)
        await asyncio.sleep(period)


async def once(work: Sequence[Work]) -> None:
    """One round."""
    for one in work:
        try:
            await one()
        except FocusHubError as error:
            _log.warning("upkeep failed, and is tried again: %s", error.__cause__ or error)
