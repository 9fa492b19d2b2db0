"""Which function answers which request: decorators for methods of a service, and collections for modules.

A method of a `Service` is marked; a module gathers its functions in `Routes`, and the service names them::

    class Notes(Service):
        routes = (tags.routes,)

        @get("/v1/notes/{note_id}")
        async def read(self, note_id: UUID, user: User) -> Note: ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

Function = TypeVar("Function", bound=Callable[..., Any])

_MARKS = "__focushub_routes__"


class Route(msgspec.Struct, frozen=True):
    """A method, a path template such as ``/v1/notes/{note_id}``, the function behind them, the status of success."""

    method: str
    path: str
    function: Callable[..., Any]
    status: int = 200


class Verbs(ABC):
    """The decorators; ``status`` is that of a success. A handler that returns ``None`` answers 204."""

    @abstractmethod
    def add(self, route: Route) -> None:
        """Takes a decorated function."""

    def route(self, method: str, path: str = "", *, status: int = 200) -> Callable[[Function], Function]:
        """The decorated function answers ``method`` on ``path``."""

        def decorate(function: Function) -> Function:
            self.add(Route(method, path, function, status))
            return function

        return decorate

    def get(self, path: str = "", *, status: int = 200) -> Callable[[Function], Function]:
        """`route` for GET; answers HEAD, too."""
        return self.route("GET", path, status=status)

    def post(self, path: str = "", *, status: int = 200) -> Callable[[Function], Function]:
        """`route` for POST."""
        return self.route("POST", path, status=status)

    def put(self, path: str = "", *, status: int = 200) -> Callable[[Function], Function]:
        """`route` for PUT."""
        return self.route("PUT", path, status=status)

    def patch(self, path: str = "", *, status: int = 200) -> Callable[[Function], Function]:
        """`route` for PATCH."""
        return self.route("PATCH", path, status=status)

    def delete(self, path: str = "", *, status: int = 204) -> Callable[[Function], Function]:
        """`route` for DELETE."""
        return self.route("DELETE", path, status=status)


class Routes(Verbs):
    """The routes of one module; ``prefix`` stands before each path."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._routes: list[Route] = []

    def add(self, route: Route) -> None:
        self._routes.append(Route(route.method, self._prefix + route.path, route.function, route.status))

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)


class _Marks(Verbs):
    """Leaves the route on the method; `marked` finds it there."""

    def add(self, route: Route) -> None:
        setattr(route.function, _MARKS, (*getattr(route.function, _MARKS, ()), route))


_marks = _Marks()
route, get, post, put, patch, delete = (
    _marks.route,
    _marks.get,
    _marks.post,
    _marks.put,
    _marks.patch,
    _marks.delete,
)


def marked(owner: object) -> Iterator[Route]:
    """The routes that methods of ``owner`` are marked with, in the order they are written, bound to it."""
    seen: set[str] = set()
    for kind in type(owner).__mro__:
        for name, function in vars(kind).items():
            if name not in seen:
                seen.add(name)
                for found in getattr(function, _MARKS, ()):
                    yield msgspec.structs.replace(found, function=getattr(owner, name))
