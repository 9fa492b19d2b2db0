"""Names of upstreams, looked up again and again: who moved or joined is found, who is gone gets nothing more.

Rules that hold here:

* The system looks names up, beside the loop: as its ``hosts`` file and name servers say, each time anew.
* A name that has no address now keeps those it had; one that never had any is asked for more often.
* A look-up that hangs is waited for, not begun a second time: it would take the threads that others need.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence

from focushub_core.balancer import Change, Pool
from focushub_core.balancer.names import at, host_of

FIRST_S = 1.0
"""Seconds that a start waits for the first look-ups."""
HURRY = 5
"""How many times as often a name is looked up that has no address yet."""

LookUp = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host's name. Raises `OSError` where it has none, or nobody can tell."""

_log = logging.getLogger(__name__)


async def system(host: str) -> list[str]:
    """Asks the system, for addresses of families that this machine speaks."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError as error:  # a label of 64 letters, say
        raise OSError(str(error)) from error
    return [str(address[0]) for *_, address in found]


class Names:
    """Keeps ``pool``'s upstreams at the addresses of their names from `start` to `close`; ``changed`` hears of it."""

    def __init__(
        self,
        pool: Pool,
        changed: Callable[[Change], None],
        *,
        interval_s: float = 5.0,
        look_up: LookUp = system,
    ) -> None:
        self._pool = pool
        self._changed = changed
        self._interval_s = interval_s
        self._look_up = look_up
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin; wait a moment for the first addresses, so that the first request finds somebody."""
        if not self._pool.names:
            return
        loop = asyncio.get_running_loop()
        first = {origin: loop.create_future() for origin in self._pool.names}
        for origin, looked in first.items():
            self._found(origin, ())  # one that stood for all of them until now
            self._tasks.append(asyncio.create_task(self._keep(origin, looked), name=f"names {origin}"))
        await asyncio.wait(first.values(), timeout=FIRST_S)

    async def close(self) -> None:
        """Look nothing up any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, origin: str, looked: asyncio.Future[None]) -> None:
        found, failing = False, False
        while True:
            try:
                addresses = await self._look_up(host_of(origin))
            except OSError as error:
                if not failing:
                    _log.warning("%s: %s has no address: %s", self._pool.name, origin, error)
                failing = True
            else:
                self._found(origin, at(origin, addresses))
                found, failing = True, False
            if not looked.done():
                looked.set_result(None)
            await asyncio.sleep(self._interval_s if found else self._interval_s / HURRY)

    def _found(self, origin: str, urls: Sequence[str]) -> None:
        change = self._pool.found(origin, urls)
        for upstream in change.joined:
            _log.info("%s: %s joins (%s)", self._pool.name, upstream.url, origin)
        for upstream in change.left:
            if upstream.url != origin:
                _log.info("%s: %s leaves (%s)", self._pool.name, upstream.url, origin)
        if change:
            self._changed(change)
