"""Another transaction was in the way (40001, 40P01): PostgreSQL undid ours whole, so it may be run again whole."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import ParamSpec, TypeVar

from focushub_core import deadline
from focushub_core.database.errors import TransactionConflict

P = ParamSpec("P")
R = TypeVar("R")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.01, 0.2


def retry_conflicts(attempts: int = 5) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """Runs what it decorates up to ``attempts`` times while that ends in a `TransactionConflict`.

    It belongs around the whole of a transaction, and around nothing that must not be done twice::

        @retry_conflicts()
        async def move(self, account: UUID, amount: int) -> None:
            async with self._database.transaction(isolation="serializable") as connection: ...

    Pauses are random and grow, so that two in each other's way do not stay so. The last conflict is raised, and the
    present one where the request has no time left for another attempt.
    """

    def around(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        @functools.wraps(function)
        async def again(*args: P.args, **kwargs: P.kwargs) -> R:
            for pause in _pauses(attempts - 1):
                try:
                    return await function(*args, **kwargs)
                except TransactionConflict:
                    if deadline.left(LONGEST_PAUSE_S) <= pause:
                        raise
                await asyncio.sleep(pause)
            return await function(*args, **kwargs)

        return again

    return around


def _pauses(count: int) -> Iterator[float]:
    for number in range(count):
        longest = min(FIRST_PAUSE_S * 2**number, LONGEST_PAUSE_S)
        yield random.uniform(0, longest)  # noqa: S311 - no secret
