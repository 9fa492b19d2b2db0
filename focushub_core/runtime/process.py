"""Runs a server as a process: listen, drain, stop.

Rules that hold here:

* SIGTERM drains: readiness says 503 and answers say ``Connection: close`` while the port still takes requests, for
  ``DRAIN_SECONDS``, so that whoever balances over this process has looked away before the port closes.
* SIGINT skips that waiting: it is for a person at a terminal and for a stack that stops as a whole.
* Then the port closes, and requests that run may finish for ``FINISH_SECONDS``. A second signal skips what is left.
* Nothing here knows what answers: importing this loads no web framework.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from typing import Protocol

from focushub_core.errors import ConfigurationError
from focushub_core.settings import Settings

FINISH_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Server(Protocol):
    """What can be run. ``draining`` is set when it should ask for no more work."""

    draining: bool

    @property
    def settings(self) -> Settings:
        """How to run it."""

    @property
    def port(self) -> int:
        """Where to listen."""

    async def listen(self) -> None:
        """Open everything, and take requests. Raises `OSError` where the port cannot be taken."""

    async def stop(self, finish_s: float) -> None:
        """Take no more, let what runs finish within ``finish_s`` seconds, and close everything that is open."""


def run(server: Server, *, guard: int | None = None) -> int:
    """Serves until a signal; the exit status: 0, or 1 where the port could not be taken.

    ``guard`` is the reading end of a pipe whose other end a parent holds: when that closes, this stops, too.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(server, guard))


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.Loop


class Signals:
    """SIGTERM and SIGINT as events: ``stop`` is set by the first, ``hurry`` by SIGINT or by a second."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._arrived, number)

    def watch(self, guard: int) -> None:
        """Hurry, too, when the other end of the pipe ``guard`` closes."""
        loop = asyncio.get_running_loop()

        def closed() -> None:
            if not os.read(guard, 1):
                loop.remove_reader(guard)
                self._arrived(signal.SIGINT)

        loop.add_reader(guard, closed)

    def _arrived(self, number: signal.Signals) -> None:
        if self.stop.is_set() or number is signal.SIGINT:
            self.hurry.set()
        self.stop.set()


async def _serve(server: Server, guard: int | None) -> int:
    signals = Signals()
    if guard is not None:
        signals.watch(guard)
    try:
        await server.listen()
    except ConfigurationError as error:
        _log.error("cannot start: %s", error)
        await server.stop(0)
        return 1
    except OSError as error:
        _log.error("cannot listen on %s:%d: %s", server.settings.host, server.port, error.strerror or error)
        await server.stop(0)
        return 1
    gc.collect()
    gc.freeze()  # what start-up made stays: no collection has to look at it again
    _log.info("listening on %s:%d", server.settings.host, server.port)
    await signals.stop.wait()
    await drain(server, signals.hurry, server.settings.drain_seconds)
    await server.stop(FINISH_SECONDS)
    _log.info("stopped")
    return 0


async def drain(server: Server, hurry: asyncio.Event, seconds: float) -> None:
    """Says "send no more" for ``seconds``, or until somebody is in a hurry."""
    server.draining = True
    _log.info("draining")
    try:
        async with asyncio.timeout(seconds):
            await hurry.wait()
    except TimeoutError:
        pass
