"""``/health /livez /readyz``: the three answers of `focushub_core.health`, on an aiohttp application.

Every part has them. An application that is none takes them by themselves::

    probes.install(app, [Check("database", database.check)], name="shop")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from aiohttp import web

from focushub_core.health import Check, Report, examine
from focushub_core.http.models import encode

NO_STORE = {"Cache-Control": "no-store"}


class Probes:
    """Asks ``report`` when it is asked; ``shown`` are further states for ``/readyz?verbose``, by name."""

    def __init__(
        self,
        report: Callable[[], Awaitable[Report]],
        version: str,
        shown: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        self._report = report
        self._version = version
        self._shown = {} if shown is None else shown

    def add_to(self, app: web.Application) -> None:
        """Adds the three routes."""
        app.router.add_get("/health", self._health)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)

    async def _health(self, _: web.Request) -> web.Response:
        report = await self._report()
        return _json(200 if report.healthy else 503, report.health(datetime.now(UTC), self._version))

    async def _livez(self, _: web.Request) -> web.Response:
        return _json(200, {"status": "alive"})

    async def _readyz(self, request: web.Request) -> web.Response:
        report = await self._report()
        body = report.readiness(self._shown if "verbose" in request.query else None)
        return _json(200 if report.ready else 503, body)


def install(app: web.Application, checks: Sequence[Check] = (), *, name: str, version: str = "0.1.0") -> None:
    """Gives ``app`` the three routes, without the rest of a part; ``checks`` ask what it depends on."""

    async def report() -> Report:
        return Report(name, await examine(checks))

    Probes(report, version).add_to(app)


def _json(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=encode(body), content_type="application/json", headers=NO_STORE)
