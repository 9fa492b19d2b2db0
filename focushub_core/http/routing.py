"""Which function answers which request: decorators for methods of a service, and collections for modules.

A method of a `Service` is marked; a module gathers its functions in `Routes`, and the service names them::

    class Notes(Service):
        routes = (tags.routes,)

        @get("/v1/notes/{note_id}")
        async def read(self, note_id: UUID, user: User) -> Note: ...

What an operation is called in the OpenAPI document is its function's docstring; its tag is its group's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypedDict, TypeVar, Unpack

import msgspec

from focushub_core.errors import FocusHubError
from focushub_core.http.habit import Habit

Function = TypeVar("Function", bound=Callable[..., Any])
Refusal = type[FocusHubError] | FocusHubError
"""``NotFound``, or with a code of its own ``Conflict(code="session_active")``."""

_MARKS = "__focushub_routes__"


class Options(TypedDict, total=False):
    """What may be said of a route beside its path."""

    status: int
    """That of a success; a function that returns ``None`` answers 204."""
    habits: Sequence[Habit]
    raises: Sequence[Refusal]
    """For the OpenAPI document: problems that the function raises, beside those that its signature implies."""
    tag: str
    """Under which the document lists it; that of its group, else the first name in the path after the version."""
    public: bool
    """``False`` leaves it out of the document."""


class Route(msgspec.Struct, frozen=True):
    """A method, a path template such as ``/v1/notes/{note_id}``, the function behind them, and its `Options`."""

    method: str
    path: str
    function: Callable[..., Any]
    status: int = 200
    habits: tuple[Habit, ...] = ()
    raises: tuple[Refusal, ...] = ()
    tag: str = ""
    public: bool = True


class Verbs(ABC):
    """The decorators; the keywords are those of `Options`."""

    @abstractmethod
    def add(self, route: Route) -> None:
        """Takes a decorated function."""

    def route(
        self, method: str, path: str = "", **options: Unpack[Options]
    ) -> Callable[[Function], Function]:
        """The decorated function answers ``method`` on ``path``."""

        def decorate(function: Function) -> Function:
            self.add(_route(method, path, function, options))
            return function

        return decorate

    def get(self, path: str = "", **options: Unpack[Options]) -> Callable[[Function], Function]:
        """`route` for GET; answers HEAD, too."""
        return self.route("GET", path, **options)

    def post(self, path: str = "", **options: Unpack[Options]) -> Callable[[Function], Function]:
        """`route` for POST."""
        return self.route("POST", path, **options)

    def put(self, path: str = "", **options: Unpack[Options]) -> Callable[[Function], Function]:
        """`route` for PUT."""
        return self.route("PUT", path, **options)

    def patch(self, path: str = "", **options: Unpack[Options]) -> Callable[[Function], Function]:
        """`route` for PATCH."""
        return self.route("PATCH", path, **options)

    def delete(self, path: str = "", **options: Unpack[Options]) -> Callable[[Function], Function]:
        """`route` for DELETE; 204 where no other status is said."""
        return self.route("DELETE", path, **({"status": 204} | options))


def _route(method: str, path: str, function: Callable[..., Any], options: Options) -> Route:
    return Route(
        method,
        path,
        function,
        options.get("status", 200),
        tuple(options.get("habits", ())),
        tuple(options.get("raises", ())),
        options.get("tag", ""),
        options.get("public", True),
    )


class Routes(Verbs):
    """The routes of one module; ``prefix`` stands before each path, and ``habits`` are those of all of them."""

    def __init__(self, prefix: str = "", *, habits: Sequence[Habit] = (), tag: str = "") -> None:
        self._prefix = prefix
        self._habits = tuple(habits)
        self._tag = tag
        self._routes: list[Route] = []

    def add(self, route: Route) -> None:
        habits = self._habits + route.habits
        path, tag = self._prefix + route.path, route.tag or self._tag
        self._routes.append(msgspec.structs.replace(route, path=path, habits=habits, tag=tag))

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
