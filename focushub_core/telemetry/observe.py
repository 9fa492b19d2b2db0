"""What a request is counted and logged under."""

from __future__ import annotations

from aiohttp import web

UNMATCHED = "/{unmatched}"
"""The template of a part's last route, which takes what no other does."""


def template_of(request: web.Request) -> str:
    """The template of the route, ``unmatched`` where there is none: a label of bounded variety."""
    resource = request.match_info.route.resource
    if resource is None or resource.canonical == UNMATCHED:
        return "unmatched"
    return resource.canonical
