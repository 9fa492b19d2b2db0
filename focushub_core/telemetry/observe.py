"""What a request is counted and logged under."""

from __future__ import annotations

from aiohttp import web

from focushub_core.telemetry.access import QUIET

__all__ = ["QUIET", "ROUTE", "route_of", "template_of"]

ROUTE: web.RequestKey[str] = web.RequestKey("route", str)
"""What a part that forwards says the route is, where its own template says nothing (``/{path}``)."""


def template_of(request: web.Request) -> str:
    """The template of the route, ``unmatched`` where there is none: a label of bounded variety."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


def route_of(request: web.Request) -> str:
    """What `ROUTE` says, else the template."""
    said: str | None = request.get(ROUTE)
    return template_of(request) if said is None else said
