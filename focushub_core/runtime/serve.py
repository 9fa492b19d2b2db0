"""Runs a part: listen, drain, stop.

Rules that hold here:

* SIGTERM drains: readiness says 503 and answers say ``Connection: close`` while the port still takes requests, for
  ``DRAIN_SECONDS``, so that whoever balances over this process has looked away before the port closes.
* SIGINT skips that waiting: it is for a person at a terminal and for a stack that stops as a whole.
* Then the port closes, and requests that run may finish for ``FINISH_SECONDS``. A second signal skips what is left.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import Protocol

from aiohttp import web

from focushub_core.settings import Settings

FINISH_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Servable(Protocol):
    """What can be run: a `focushub_core.part.Part`."""

    draining: bool

    @property
    def settings(self) -> Settings:
        """How to run it."""

    @property
    def port(self) -> int:
        """Where to listen."""

    def application(self) -> web.Application:
        """What answers."""


def run(part: Servable) -> int:
    """Serves ``part`` until a signal; the exit status: 0, or 1 where its port could not be taken."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(part))


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

    def _arrived(self, number: signal.Signals) -> None:
        if self.stop.is_set() or number is signal.SIGINT:
            self.hurry.set()
        self.stop.set()


async def _serve(part: Servable) -> int:
    signals = Signals()
    runner = web.AppRunner(part.application(), access_log=None, shutdown_timeout=FINISH_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, part.settings.host, part.port)
        await site.start()
    except OSError as error:
        _log.error("cannot listen on %s:%d: %s", part.settings.host, part.port, error.strerror or error)
        await runner.cleanup()
        return 1
    _log.info("listening on %s:%d", part.settings.host, part.port)
    await signals.stop.wait()
    await drain(part, signals.hurry, part.settings.drain_seconds)
    await runner.cleanup()
    _log.info("stopped")
    return 0


async def drain(part: Servable, hurry: asyncio.Event, seconds: float) -> None:
    """Says "send no more" for ``seconds``, or until somebody is in a hurry."""
    part.draining = True
    _log.info("draining")
    try:
        async with asyncio.timeout(seconds):
            await hurry.wait()
    except TimeoutError:
        pass
