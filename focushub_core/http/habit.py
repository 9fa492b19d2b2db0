"""How a habit of HTTP joins a route: entity tags, idempotency keys and their like.

A habit is a small object that a route names, a group of routes, or a whole service::

    tasks = Routes("/v1/tasks", habits=(Versioned(),))        # every route of the group

    @tasks.post(status=201, habits=(Idempotent(),))           # this one, inside those of its group

    class Notes(Service):
        habits = (Versioned(), Idempotent())                  # every route that the habit fits

Three methods, of which it overrides what it needs:

* `Habit.fits` says whether the habit has anything to do with an operation; where not, it is left out there.
* `Habit.wrap` is called once per route when the application is built, and gives what is called per request in place
  of ``call``. A `Call` takes the request and gives what the function returned: a value, an `Answer`, ``None``, or a
  ``web.StreamResponse``, which passes through all that is outside as it is. ``call`` reads and checks parameters
  and body and calls the function; it raises errors of `focushub_core.errors`, as a habit does.
  What needs the finished answer calls `focushub_core.http.handlers.finished`. ``operation.providers`` has the
  service's providers: ``operation.providers[User](request)``.
* `Habit.describe` adds to the operation's OpenAPI: header fields it reads and answers, problems, statuses.

The first habit is the outermost: the service's, then the group's, then the route's own.

A type that is given to handlers by a provider (``match: Match``) describes itself likewise, where it has a
classmethod ``describe(description: Description)``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from focushub_core.http.description import Description

if TYPE_CHECKING:
    from focushub_core.http.handlers import Operation

Call = Callable[[web.Request], Awaitable[Any]]


class Habit:
    """Something that a route does beside its function; this one does nothing."""

    def fits(self, operation: Operation) -> bool:
        """Whether it has anything to do here."""
        return True

    def wrap(self, call: Call, operation: Operation) -> Call:
        """What is called in place of ``call``."""
        return call

    def describe(self, description: Description, operation: Operation) -> None:
        """Says in the OpenAPI document what it adds."""
