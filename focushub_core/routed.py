"""A part with routes of its own: Python functions whose signatures say what they take (`focushub_core.http`)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import json, structs

from focushub_core import settings as settings_module
from focushub_core import stack as stack_module
from focushub_core.clock import Clock
from focushub_core.errors import ConfigurationError
from focushub_core.http import handlers, paths
from focushub_core.http.habit import Habit
from focushub_core.http.routing import Route, marked
from focushub_core.part import Part
from focushub_core.settings import Settings
from focushub_core.stack import Stack

T = TypeVar("T")


class RoutedPart(Part):
    """What its routes need is given by `provide`; `add_routes` compiles them into an aiohttp application."""

    routes: ClassVar[Iterable[Iterable[Route]]] = ()
    habits: ClassVar[tuple[Habit, ...]] = ()
    """Those of every route that they fit, outside the route's own."""

    is_whole: ClassVar[bool] = False
    """Whether all its routes answer as a whole: its functions then see a request that only reads like aiohttp's."""

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        super().__init__(settings, stack=stack)
        self.providers: dict[type, handlers.Provider] = {
            web.Request: lambda request: request,
            Clock: lambda _: self.clock,
        }
        self.whole: dict[object, handlers.Whole] = {}
        """What answers in the place of aiohttp handlers of ours, where nothing of aiohttp's is needed."""

    def provide(self, kind: type[T], value: T) -> None:
        """Handlers with a parameter of type ``kind`` get ``value``; call it in ``__init__``."""
        self.providers[kind] = handlers.Constant(value)

    def all_routes(self) -> Iterator[Route]:
        """The routes that methods are marked with, then those of ``routes``; with the part's habits."""
        for route in chain(marked(self), *self.routes):
            yield structs.replace(route, habits=self.habits + route.habits)

    def add_routes(self, app: web.Application) -> None:
        """Compiles `all_routes` into the application."""
        routes = list(self.all_routes())
        for route in routes:
            handler, whole = handlers.build(route, self.providers, whole=self.is_whole)
            if whole is not None:
                self.whole[handler] = whole
            if route.method == "GET":
                app.router.add_get(route.path, handler)
            else:
                app.router.add_route(route.method, route.path, handler)
        self.answers_whole(*paths.close(app, routes))

    def answers_whole(self, *added: Handler) -> None:
        """Says of aiohttp handlers that they read no body, and return a ``web.Response`` with bytes."""
        self.whole |= {handler: handlers.Whole(handler) for handler in added}

    def operations(self) -> list[handlers.Operation]:
        """`all_routes`, read."""
        return [handlers.operation_of(route, self.providers) for route in self.all_routes()]

    def openapi(self) -> dict[str, Any]:
        """Its OpenAPI document; a service and a gateway have one."""
        raise ConfigurationError(f"{self.name} has no OpenAPI document")

    @classmethod
    def run(cls) -> None:
        """`Part.run`; as ``python -m task_service openapi`` it prints its OpenAPI document and ends."""
        if sys.argv[1:] == ["openapi"]:
            sys.stdout.write(cls.described())
            return
        super().run()

    @classmethod
    def described(cls) -> str:
        """The part's OpenAPI document as indented JSON, the same wherever it is asked for: no setting is read."""
        root = stack_module.find_root(Path.cwd())
        made_up = settings_module.made_up(
            cls.settings_type, cls.key(), "DATABASE_URL", "AUTH_JWKS_URL", "CURSOR_SECRET"
        )
        part = cls(made_up, stack=stack_module.load(root) if root else None)
        return json.format(json.encode(part.openapi()), indent=2).decode() + "\n"
