"""What a handler speaks: routes, typed signatures, bodies, problems, pages."""

from focushub_core.http.models import Answer, Body, Header, Instant
from focushub_core.http.pages import Limit, Page
from focushub_core.http.routing import Route, Routes, delete, get, patch, post, put, route

__all__ = [
    "Answer",
    "Body",
    "Header",
    "Instant",
    "Limit",
    "Page",
    "Route",
    "Routes",
    "delete",
    "get",
    "patch",
    "post",
    "put",
    "route",
]
