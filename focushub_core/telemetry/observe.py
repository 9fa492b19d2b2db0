"""What a request is counted and logged under."""

from __future__ import annotations

from aiohttp import web

from focushub_core.telemetry.access import QUIET

__all__ = ["QUIET", "ROUTE", "UNMATCHED", "route_of", "template_of"]

UNMATCHED = "/{unmatched}"
"""The template of a part's last route, which takes what no other does."""
ROUTE: web.RequestKey[str] = web.RequestKey("route", str)
"""What a part that forwards says the route is, where its own template says nothing (``/{path}``)."""


def template_of(request: web.Request) -> str:
    """The template of the route, ``unmatched`` where there is none: a label of bounded variety."""
    resource = request.match_info.route.resource
    if resource is None or resource.canonical == UNMATCHED:
        return "unmatched"
    return resource.canonical


def route_of(request: web.Request) -> str:
    """What `ROUTE` says, else the template."""
    said: str | None = request.get(ROUTE)
    return template_of(request) if said is None else said
