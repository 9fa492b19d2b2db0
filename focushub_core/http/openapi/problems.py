"""Problems in the OpenAPI document: which an operation answers, by status and code, and what they look like."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web

from focushub_core.database import Database
from focushub_core.errors import (
    BadRequest,
    Conflict,
    FocusHubError,
    Invalid,
    NotFound,
    PayloadTooLarge,
    PreconditionFailed,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from focushub_core.http.description import Description
from focushub_core.http.handlers import Operation
from focushub_core.http.openapi.schemas import REF, Json
from focushub_core.identity.user import User
from focushub_core.ratelimit.limits import limits_of
from focushub_core.reasons import reason

CONTENT_TYPE = "application/problem+json"
REQUEST_ID: Json = {"$ref": "#/components/headers/X-Request-Id"}


class WrongField(msgspec.Struct):
    """One wrong field of a request."""

    field: str
    """A path such as ``due.date`` or ``labels[2]``."""
    code: str
    detail: str


class Problem(msgspec.Struct):
    """What went wrong (RFC 9457). ``code`` is stable; ``errors`` names every wrong field of the request."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None
    errors: list[WrongField] | msgspec.UnsetType = msgspec.UNSET


_IMPLIED: tuple[type[FocusHubError], ...] = (
    BadRequest,
    Unauthorized,
    NotFound,
    Conflict,
    PreconditionFailed,
    PayloadTooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    Unavailable,
)
_COMPONENT = {kind.status: kind.__name__ for kind in _IMPLIED}
_HEADERS: Mapping[int, Json] = {
    401: {"WWW-Authenticate": {"description": "RFC 6750", "schema": {"type": "string"}}},
    429: {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}},
    503: {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}},
}


def imply(description: Description, operation: Operation) -> None:
    """Adds the problems that follow from the signature, and those that the route says."""
    signature, route = operation.signature, operation.route
    kinds = {kind for _, kind, _ in signature.provided}
    if signature.body is not None:
        description.refuses(400, "malformed_json", "malformed_body", "too_deep")
        description.refuses(413, PayloadTooLarge.code)
        description.refuses(415, UnsupportedMediaType.code)
    if signature.parameters:
        description.refuses(400, "malformed_target")
    if User in kinds:
        description.refuses(401, Unauthorized.code)
    if "{" in route.path:
        description.refuses(404)
    if web.Request not in kinds:
        description.refuses(422, Invalid.code)
    if limits_of(route.function):
        description.refuses(429, TooManyRequests.code)
    if kinds & {User, Database}:
        description.refuses(503)
    for refusal in route.raises:
        description.refuses(refusal.status, refusal.code)


def problem(status: int, codes: list[str]) -> Json:
    """A component where nothing more is known than the status; else one that names the codes."""
    component = _COMPONENT.get(status)
    if component is not None and not [code for code in codes if code not in _own_codes(status)]:
        return {"$ref": f"#/components/responses/{component}"}
    words = ", ".join(f"`{code}`" for code in codes)
    return _response(status, f"{reason(status)}: {words}" if words else reason(status), codes)


def _own_codes(status: int) -> list[str]:
    """What the component of a status stands for."""
    if status == BadRequest.status:
        return ["malformed_json", "malformed_body", "malformed_target", "too_deep"]
    return [kind.code for kind in _IMPLIED if kind.status == status]


def _response(status: int, words: str, codes: list[str]) -> Json:
    headers = {"X-Request-Id": REQUEST_ID, **_HEADERS.get(status, {})}
    schema = {"$ref": REF.format(name="Problem")}
    content: Json = {"schema": schema} | ({"example": _example(status, codes[0])} if codes else {})
    return {"description": words, "headers": headers, "content": {CONTENT_TYPE: content}}


def _example(status: int, code: str) -> Json:
    phrase = reason(status)
    found: Json = {
        "type": f"urn:focushub:problem:{code.replace('_', '-')}",
        "title": phrase,
        "status": status,
        "detail": phrase,
        "code": code,
        "request_id": "0190a5c2f7e87b3c9d1e2f6a4b8c0d1e",
    }
    if code == Invalid.code:
        found["errors"] = [{"field": "due.date", "code": "missing", "detail": "This field is required."}]
    return found


def components() -> Json:
    found = {
        kind.__name__: _response(kind.status, kind.title, _own_codes(kind.status))
        for kind in sorted(_IMPLIED, key=lambda kind: kind.status)
    }
    found["Problem"] = {
        "description": "Any other problem.",
        "headers": {"X-Request-Id": REQUEST_ID},
        "content": {CONTENT_TYPE: {"schema": {"$ref": REF.format(name="Problem")}}},
    }
    return found
