"""An HTTP part of a stack: what the balancer, the gateway and every service have in common.

Rules that hold here:

* Nothing is opened at import or in ``__init__``: resources are opened in `Part.open`, on a stack that closes them.
* A part answers ``/health /livez /readyz /metrics``, gives every request an id and a log line, and every error a
  problem document. A subclass says only what is its own.
* `Part.application` is an ordinary ``aiohttp.web.Application``: it runs under any aiohttp runner and test client.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from aiohttp import web
from msgspec import json, structs

from focushub_core import settings as settings_module
from focushub_core import stack as stack_module
from focushub_core.clock import Clock
from focushub_core.errors import ConfigurationError
from focushub_core.health import Check, Report, examine
from focushub_core.http import edge, handlers, paths
from focushub_core.http.habit import Habit
from focushub_core.http.probes import Probes
from focushub_core.http.routing import Route, marked
from focushub_core.runtime import serve
from focushub_core.settings import Settings
from focushub_core.stack import Stack
from focushub_core.telemetry import logs, metrics
from focushub_core.telemetry.access import AccessLog
from focushub_core.telemetry.observe import template_of

T = TypeVar("T")

MAX_BODY = 1024 * 1024
"""Bytes of a request's body, unpacked."""


class Part:
    """A process that answers HTTP. Subclass it and say ``name``; see `Service` for one with a database.

    ``settings`` are read from the environment where left out. ``stack`` is the stack's file where there is one.
    """

    name: ClassVar[str]
    """The part's name in its stack: ``load-balancer``, ``task-service``."""
    version: ClassVar[str] = "0.1.0"
    settings_type: ClassVar[type[Settings]] = Settings
    routes: ClassVar[Iterable[Iterable[Route]]] = ()
    habits: ClassVar[tuple[Habit, ...]] = ()
    """Those of every route that they fit, outside the route's own."""
    observed: ClassVar[bool] = True
    """Whether a request has an id, a log line and a place in the metrics; without, it costs less and says nothing."""
    route_of = staticmethod(template_of)
    """What a request is counted and logged under, of bounded variety."""
    default_port: ClassVar[int] = 8000
    clock: Clock = Clock()
    """What handlers get by ``clock: Clock``."""

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        self.stack = stack
        self.settings = settings or self.load_settings(stack)
        self.metrics = metrics.HttpMetrics()
        self.checks: list[Check] = []
        self.shown: dict[str, Callable[[], object]] = {}
        self.draining = False
        self.providers: dict[type, handlers.Provider] = {
            web.Request: lambda request: request,
            Clock: lambda _: self.clock,
        }

    # What a subclass may say --------------------------------------------------------------------------------

    @classmethod
    def key(cls) -> str:
        """The name without ``-service``: its own settings begin with it (``TASK_DATABASE_URL``)."""
        return cls.name.removesuffix("-service")

    def port_in(self, stack: Stack) -> int | None:
        """The port that the stack's file gives this part."""
        return None

    async def open(self, resources: AsyncExitStack) -> None:
        """Opens what the part needs while it runs; ``resources`` closes it. Call ``super().open(resources)`` first."""

    def provide(self, kind: type[T], value: T) -> None:
        """Handlers with a parameter of type ``kind`` get ``value``; call it in ``__init__``."""
        self.providers[kind] = handlers.Constant(value)

    def middlewares(self) -> Iterable[Any]:
        """aiohttp middlewares around the part's own routes, the outermost first."""
        return ()

    # What it does -------------------------------------------------------------------------------------------

    def application(self) -> web.Application:
        """The part as an aiohttp application; its resources open when the application starts."""
        self.access = AccessLog(self.settings.instance or self.name)
        around, inner = self._edge(), list(self.middlewares())
        middlewares = [web.middleware(around), *inner] if inner else []
        app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY)
        if self.observed:
            app.on_response_prepare.append(edge.prepare(lambda: self.draining))
        app.cleanup_ctx.append(self._lifespan)
        Probes(self.report, self.version, self.shown).add_to(app)
        app.router.add_get("/metrics", self._metrics)
        self.add_routes(app)
        if not inner:
            edge.lay_around(app, around, named_by_template=self.route_of is template_of)
        return app

    def add_routes(self, app: web.Application) -> None:
        """Compiles `all_routes` into the application."""
        routes = list(self.all_routes())
        for route in routes:
            handler = handlers.build(route, self.providers)
            if route.method == "GET":
                app.router.add_get(route.path, handler)
            else:
                app.router.add_route(route.method, route.path, handler)
        paths.close(app, routes)

    def all_routes(self) -> Iterator[Route]:
        """The routes that methods are marked with, then those of ``routes``; with the part's habits."""
        for route in chain(marked(self), *self.routes):
            yield structs.replace(route, habits=self.habits + route.habits)

    async def report(self) -> Report:
        """Asks every dependency."""
        return Report(self.name, await examine(self.checks), self.draining)

    @property
    def port(self) -> int:
        """Where it listens: ``PORT``, else what the stack's file says, else ``default_port``."""
        if self.settings.port is not None:
            return self.settings.port
        return (self.port_in(self.stack) if self.stack else None) or self.default_port

    @classmethod
    def run(cls) -> None:
        """Runs the part until SIGTERM (drains first) or SIGINT (finishes what runs); ends the process.

        Wrong settings are named on standard error, all at once, with exit status 1. As ``python -m task_service
        openapi`` it prints its OpenAPI document, without any settings, and ends.
        """
        if sys.argv[1:] == ["openapi"]:
            sys.stdout.write(cls.described())
            return
        try:
            part = cls.in_stack()
        except ConfigurationError as error:
            print(f"{cls.name}: {error}", file=sys.stderr)  # noqa: T201 - logs are not set up yet
            sys.exit(1)
        logs.configure(
            part.settings.instance or part.name,
            as_json=part.settings.logs_as_json,
            level=part.settings.log_level,
        )
        sys.exit(serve.run(part))

    @classmethod
    def in_stack(cls) -> Part:
        """The part as it is set up here: by the environment and the stack whose folder this is."""
        root = stack_module.find_root(Path.cwd())
        return cls(stack=stack_module.load(root) if root else None)

    @classmethod
    def described(cls) -> str:
        """The part's OpenAPI document as indented JSON, the same wherever it is asked for: no setting is read."""
        root = stack_module.find_root(Path.cwd())
        made_up = settings_module.made_up(
            cls.settings_type, cls.key(), "DATABASE_URL", "AUTH_JWKS_URL", "CURSOR_SECRET"
        )
        part = cls(made_up, stack=stack_module.load(root) if root else None)
        return json.format(json.encode(part.openapi()), indent=2).decode() + "\n"

    def openapi(self) -> dict[str, Any]:
        """Its OpenAPI document; a service and a gateway have one."""
        raise ConfigurationError(f"{self.name} has no OpenAPI document")

    def operations(self) -> list[handlers.Operation]:
        """`all_routes`, read."""
        return [handlers.operation_of(route, self.providers) for route in self.all_routes()]

    def load_settings(self, stack: Stack | None) -> Settings:
        """The part's settings from the environment and the stack's ``.env``."""
        return settings_module.load(self.settings_type, owner=self.key(), root=stack.root if stack else None)

    # ----------------------------------------------------------------------------------------------------------

    async def _lifespan(self, _: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as resources:
            resources.callback(self.access.flush)
            await self.open(resources)
            yield

    def _edge(self) -> edge.Serve:
        show_internals, seconds = not self.settings.production, self.settings.request_seconds
        if not self.observed:
            return edge.unobserved(lambda: self.draining, show_internals=show_internals, seconds=seconds)
        return edge.observed(
            self.metrics.requests,
            self.access,
            self.route_of,
            show_internals=show_internals,
            seconds=seconds,
        )

    async def _close_while_draining(self, _: web.Request, response: web.StreamResponse) -> None:
        if self.draining:
            response.force_close()

    async def _metrics(self, _: web.Request) -> web.Response:
        self.metrics.examined(await self.report())
        return web.Response(body=self.metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})
