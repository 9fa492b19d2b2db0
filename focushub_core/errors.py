"""One tree of errors, by cause.

Rules that hold here:

* Every error knows its HTTP ``status``, a stable machine-readable ``code`` and a public ``title``: what is
  raised anywhere becomes an RFC 9457 problem at one place, the edge (`focushub_core.http.problems`).
* ``detail`` is public. What must not be shown to a client is logged, never put into ``detail``.
* Errors of libraries (asyncpg, redis, aiohttp) are mapped to these once, in the adapter that calls them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple


class FieldError(NamedTuple):
    """One wrong field of a request.

    ``field`` is a path such as ``due.date`` or ``labels[2]``; ``code`` is stable, ``detail`` is for people.
    """

    field: str
    code: str
    detail: str


class FocusHubError(Exception):
    """The root of the tree: an error with a status, a stable code and a public message."""

    status: ClassVar[int] = 500
    code: str = "internal_error"
    title: ClassVar[str] = "Internal Server Error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[FieldError] = (),
        **extensions: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.code = code or self.code
        self.headers = dict(headers or {})
        self.errors = tuple(errors)
        self.extensions = extensions


def problem(error: FocusHubError, request_id: str | None) -> dict[str, Any]:
    """The problem document of ``error`` (RFC 9457, 3.1), which met the request with this id."""
    document: dict[str, Any] = {
        "type": f"urn:focushub:problem:{error.code.replace('_', '-')}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail or error.title,
        "code": error.code,
        "request_id": request_id,
    }
    if error.errors:
        document["errors"] = [wrong._asdict() for wrong in error.errors]
    return document | error.extensions


class ConfigurationError(FocusHubError):
    """The process cannot start as it is set up; the message says what to do."""

    code = "configuration_error"


# What the client did -------------------------------------------------------------------------------------


class RequestError(FocusHubError):
    """The request cannot be served as it is (4xx)."""

    status = 400
    code = "bad_request"
    title = "Bad Request"


class BadRequest(RequestError):
    """The request is malformed: not JSON, nested too deep, an unreadable parameter (400)."""


class RequestTimeout(RequestError):
    """The request did not come in time (408)."""

    status = 408
    code = "request_timeout"
    title = "Request Timeout"


class Unauthorized(RequestError):
    """No valid token came with the request (401, RFC 6750)."""

    status = 401
    code = "unauthorized"
    title = "Unauthorized"

    def __init__(self, detail: str | None = None, *, code: str | None = None, **extensions: Any) -> None:
        challenge = "Bearer" if code is None else f'Bearer error="{code}"'
        super().__init__(detail, code=code, headers={"WWW-Authenticate": challenge}, **extensions)


class Forbidden(RequestError):
    """The person is known but may not do this (403)."""

    status = 403
    code = "forbidden"
    title = "Forbidden"


class NotFound(RequestError):
    """There is no such thing, or it is another person's (404)."""

    status = 404
    code = "not_found"
    title = "Not Found"


class MethodNotAllowed(RequestError):
    """The path exists, but not with this method (405); ``Allow`` names those that do."""

    status = 405
    code = "method_not_allowed"
    title = "Method Not Allowed"


class Conflict(RequestError):
    """The request contradicts what is stored (409)."""

    status = 409
    code = "conflict"
    title = "Conflict"


class PreconditionFailed(RequestError):
    """What the request was to change is no longer as its author saw it (412)."""

    status = 412
    code = "precondition_failed"
    title = "Precondition Failed"


class PayloadTooLarge(RequestError):
    """The body is over the limit (413)."""

    status = 413
    code = "payload_too_large"
    title = "Content Too Large"


class UnsupportedMediaType(RequestError):
    """The body is not of a type that this route reads (415)."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported Media Type"


class Invalid(RequestError):
    """The request is well-formed but its content is not what the route takes (422); ``errors`` names all."""

    status = 422
    code = "validation_failed"
    title = "Unprocessable Content"


class TooManyRequests(RequestError):
    """A rate limit refused the request (429); ``Retry-After`` says when to come back."""

    status = 429
    code = "rate_limited"
    title = "Too Many Requests"


# What we could not do ------------------------------------------------------------------------------------


class Internal(FocusHubError):
    """A bug of ours (500). The log has the trace, the client only the request id."""


class BadGateway(FocusHubError):
    """An upstream answered nonsense or broke off (502)."""

    status = 502
    code = "bad_gateway"
    title = "Bad Gateway"


class Unavailable(FocusHubError):
    """Something that this needs is away for now (503); ``Retry-After`` is in seconds."""

    status = 503
    code = "unavailable"
    title = "Service Unavailable"

    def __init__(
        self, detail: str | None = None, *, code: str | None = None, retry_after: int = 1, **extensions: Any
    ) -> None:
        super().__init__(detail, code=code, headers={"Retry-After": str(retry_after)}, **extensions)


class GatewayTimeout(FocusHubError):
    """An upstream did not answer by its deadline (504)."""

    status = 504
    code = "gateway_timeout"
    title = "Gateway Timeout"
