"""A path that is written out is never taken for another one's parameter.

``GET /v1/tasks/today`` beside ``PATCH /v1/tasks/{task_id}``: aiohttp would take ``PATCH /v1/tasks/today`` for a change
of the task "today". It is 405 instead.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from aiohttp import web

from focushub_core.errors import MethodNotAllowed
from focushub_core.http.handlers import Handler
from focushub_core.http.routing import Route

_PARAMETER = re.compile(r"\{[^{}]+\}")


def written_out(routes: Iterable[Route]) -> Mapping[str, set[str]]:
    """The methods of each path without parameters that another one's parameters would match, too."""
    methods: defaultdict[str, set[str]] = defaultdict(set)
    for route in routes:
        methods[route.path] |= {route.method, "HEAD"} if route.method == "GET" else {route.method}
    patterns = [re.compile(_PARAMETER.sub("[^/]+", path)) for path in methods if "{" in path]
    return {
        path: found
        for path, found in methods.items()
        if "{" not in path and any(pattern.fullmatch(path) for pattern in patterns)
    }


def close(app: web.Application, routes: Iterable[Route]) -> list[Handler]:
    """Answers 405 for all other methods of such a path; called when ``routes`` have been added. The handlers."""
    refusing = {path: _refusing(methods) for path, methods in written_out(routes).items()}
    for path, handler in refusing.items():
        app.router.add_route("*", path, handler)
    return list(refusing.values())


def _refusing(methods: Iterable[str]) -> Handler:
    allow = ",".join(sorted(methods))

    async def refuse(_: web.Request) -> web.StreamResponse:
        raise MethodNotAllowed(headers={"Allow": allow})

    return refuse
