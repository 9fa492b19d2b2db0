"""Runs a part on aiohttp as a process; `focushub_core.runtime.process` says how."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from focushub_core.runtime import process
from focushub_core.runtime.connection import runner
from focushub_core.settings import Settings


class Servable(Protocol):
    """What can be run: a `focushub_core.web.WebPart`."""

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
    return process.run(_OnAiohttp(part))


class _OnAiohttp:
    """The part's application, listening."""

    def __init__(self, part: Servable) -> None:
        self._part = part
        self._runner: web.AppRunner | None = None

    @property
    def draining(self) -> bool:
        return self._part.draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self._part.draining = value

    @property
    def settings(self) -> Settings:
        return self._part.settings

    @property
    def port(self) -> int:
        return self._part.port

    async def listen(self) -> None:
        self._runner = runner(
            self._part.application(),
            access_log=None,
            shutdown_timeout=process.FINISH_SECONDS,
            handler_cancellation=True,  # nobody waits for the answer any more: what is done for it ends, too
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, self.settings.host, self.port).start()

    async def stop(self, finish_s: float) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
