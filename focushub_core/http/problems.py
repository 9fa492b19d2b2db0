"""Errors as RFC 9457 problem documents: the one place where an exception becomes an answer.

Rules that hold here:

* Every error of every part is ``application/problem+json`` with ``type, title, status, detail, code, request_id``, and
  ``errors: [{field, code, detail}]`` where fields are wrong.
* An unexpected exception is logged with its trace and answered as 500 without a word about what happened inside;
  only in development its text is the ``detail``.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from focushub_core import errors
from focushub_core.errors import FocusHubError
from focushub_core.telemetry.context import request_id

CONTENT_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)

_BY_STATUS: dict[int, type[FocusHubError]] = {
    kind.status: kind
    for kind in (
        errors.BadRequest,
        errors.Forbidden,
        errors.NotFound,
        errors.MethodNotAllowed,
        errors.Conflict,
        errors.PayloadTooLarge,
        errors.UnsupportedMediaType,
        errors.Invalid,
        errors.Unavailable,
    )
}


def document(error: FocusHubError) -> dict[str, Any]:
    """The problem document of ``error`` (RFC 9457, 3.1), with the id of the request that is being served."""
    return errors.problem(error, request_id.get())


def response(error: FocusHubError) -> web.Response:
    """``error`` as an answer."""
    answer = web.Response(
        status=error.status,
        body=msgspec.json.encode(document(error), enc_hook=str),
        content_type=CONTENT_TYPE,
        headers=error.headers,
    )
    if error.headers.get("Connection") == "close":
        answer.force_close()
    return answer


def middleware(*, show_internals: bool) -> Any:
    """Answers every exception of the handlers behind it with a problem document."""

    @web.middleware
    async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception as error:  # noqa: BLE001 - the edge of the process
            return answer(error, show_internals=show_internals)

    return problems


def answer(error: Exception, *, show_internals: bool) -> web.Response:
    """The answer to what a handler raised; raised again where nobody is there for it, or where it is no error."""
    if isinstance(error, ConnectionError) or (isinstance(error, web.HTTPException) and error.status < 400):
        raise error  # the client went away; or a redirection
    return response(said(error, show_internals=show_internals))


def said(error: Exception, *, show_internals: bool) -> FocusHubError:
    """What a client is told of ``error``; logs what only we are to know."""
    if isinstance(error, FocusHubError):
        if error.status >= 500:  # foreseen: what happened, without the way there
            cause = repr(error.__cause__) if error.__cause__ else ""
            _log.warning("request failed: %s", error, extra={"code": error.code, "cause": cause})
        return error
    if isinstance(error, web.HTTPException):
        return from_aiohttp(error)
    if isinstance(error, web.RequestPayloadError):
        return malformed_body()
    _log.error("unexpected error", exc_info=error)
    return errors.Internal(f"{type(error).__name__}: {error}" if show_internals else None)


def malformed_body() -> errors.BadRequest:
    """The body's packing or framing is broken: what else comes on the connection cannot be told apart from it."""
    return errors.BadRequest(
        "The body is not what its head says it is.", code="malformed_body", headers={"Connection": "close"}
    )


def install(app: web.Application) -> None:
    """Has ``app``, which is no part, answer the errors of `focushub_core.errors` that its handlers and pieces raise.

    Its middlewares so far come to lie within; other exceptions are answered as said above.
    """
    app.middlewares.insert(0, middleware(show_internals=False))


def from_aiohttp(error: web.HTTPException) -> FocusHubError:
    """What aiohttp itself refuses (an unknown route, a wrong method, a body over the limit) in our words."""
    kind = _BY_STATUS.get(error.status, errors.BadRequest if error.status < 500 else errors.Internal)
    headers = {name: value for name, value in error.headers.items() if name == "Allow"}
    found = kind(None)
    found.headers.update(headers)
    return found
