"""FocusHub: services for aiohttp that start as a stack.

The names people use, grouped by what they are for. They are loaded when first used, so that a process pays only
for what it needs: a load balancer imports neither a database driver nor a Redis client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msgspec import Meta

    from focushub_core.clock import Clock
    from focushub_core.database import Database
    from focushub_core.errors import (
        BadRequest,
        ConfigurationError,
        Conflict,
        FieldError,
        FocusHubError,
        Forbidden,
        Invalid,
        NotFound,
        TooManyRequests,
        Unauthorized,
        Unavailable,
    )
    from focushub_core.health import Check, Report
    from focushub_core.http import (
        Answer,
        Body,
        Header,
        Instant,
        Limit,
        Page,
        Routes,
        delete,
        get,
        patch,
        post,
        put,
    )
    from focushub_core.http.conditional import EntityTags, IfMatch
    from focushub_core.http.idempotency import Idempotent
    from focushub_core.http.location import Located
    from focushub_core.http.merge_patch import Patch
    from focushub_core.http.models import UNSET, Int32, Int64, Query, Unset, WallClock
    from focushub_core.http.pages import Pager, Paging
    from focushub_core.http.soft_delete import SoftDelete
    from focushub_core.identity import User
    from focushub_core.ratelimit import limit
    from focushub_core.rules import Rule, Wrong
    from focushub_core.service import Service, ServiceSettings
    from focushub_core.settings import Secret, Settings
    from focushub_core.web import WebPart

_WHERE = {
    # a service and what it is made of
    "focushub_core.service": ("Service", "ServiceSettings"),
    "focushub_core.web": ("WebPart",),
    "focushub_core.database": ("Database",),
    "focushub_core.settings": ("Secret", "Settings"),
    "focushub_core.health": ("Check", "Report"),
    "focushub_core.clock": ("Clock",),
    # what a handler speaks
    "focushub_core.http.routing": ("Routes", "delete", "get", "patch", "post", "put"),
    "focushub_core.http.models": (
        "UNSET",
        "Answer",
        "Body",
        "Header",
        "Instant",
        "Int32",
        "Int64",
        "Query",
        "Unset",
        "WallClock",
    ),
    "focushub_core.rules": ("Rule", "Wrong"),
    "msgspec": ("Meta",),
    "focushub_core.http.pages": ("Limit", "Page", "Pager", "Paging"),
    # HTTP habits, one line each
    "focushub_core.http.conditional": ("EntityTags", "IfMatch"),
    "focushub_core.http.idempotency": ("Idempotent",),
    "focushub_core.http.location": ("Located",),
    "focushub_core.http.merge_patch": ("Patch",),
    "focushub_core.http.soft_delete": ("SoftDelete",),
    "focushub_core.identity.user": ("User",),
    "focushub_core.ratelimit.limits": ("limit",),
    # what it raises
    "focushub_core.errors": (
        "BadRequest",
        "ConfigurationError",
        "Conflict",
        "FieldError",
        "FocusHubError",
        "Forbidden",
        "Invalid",
        "NotFound",
        "TooManyRequests",
        "Unauthorized",
        "Unavailable",
    ),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [  # noqa: RUF022 - grouped as above
    "Service",
    "ServiceSettings",
    "WebPart",
    "Database",
    "Secret",
    "Settings",
    "Check",
    "Report",
    "Clock",
    "Routes",
    "delete",
    "get",
    "patch",
    "post",
    "put",
    "Answer",
    "Body",
    "Header",
    "Query",
    "Instant",
    "WallClock",
    "Int32",
    "Int64",
    "Unset",
    "UNSET",
    "Meta",
    "Rule",
    "Wrong",
    "Limit",
    "Page",
    "Pager",
    "Paging",
    "EntityTags",
    "IfMatch",
    "Idempotent",
    "Located",
    "Patch",
    "SoftDelete",
    "User",
    "limit",
    "BadRequest",
    "ConfigurationError",
    "Conflict",
    "FieldError",
    "FocusHubError",
    "Forbidden",
    "Invalid",
    "NotFound",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
]


def __getattr__(name: str) -> object:
    """Loads a public name when it is first used (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("focushub-core")
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
