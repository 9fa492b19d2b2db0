"""Cross-origin requests (the Fetch standard, "HTTP extensions"), for the origins of an allow-list and no others.

Rules that hold here:

* An origin is compared as a whole with what is allowed: no wildcards, no prefixes. By default there is none.
* Credentials are never allowed: tokens go in ``Authorization``, which a page sets itself; there are no cookies.
* An answer to an origin that is not allowed has no field of ours, so that its page cannot read it; ``Vary: Origin``
  says to caches, of every answer, that another origin's would differ.
* Errors carry the fields, too: a page should see why it was refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from focushub_core.errors import Forbidden

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
ACCEPTED = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Traceparent, X-Request-Id"
EXPOSED = (
    "ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Partial, X-Request-Id"
)
MAX_AGE = 600
"""Seconds for which a browser need not ask again."""


class Cors:
    """What pages of the origins in ``allow`` (``https://app.example``) may do."""

    def __init__(self, allow: Iterable[str]) -> None:
        self._allow = frozenset(origin.lower() for origin in allow)

    def __bool__(self) -> bool:
        return bool(self._allow)

    def allows(self, origin: str | None) -> bool:
        """Whether a page of ``origin`` may read answers."""
        return origin is not None and origin.lower() in self._allow

    def fields(self, origin: str | None) -> Mapping[str, str]:
        """What an answer to ``origin`` carries."""
        if origin is None or not self.allows(origin):
            return {}
        return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED}

    def preflight(self, origin: str | None) -> Mapping[str, str]:
        """What a preflight's answer says; `Forbidden` where the origin is not allowed."""
        if not self.allows(origin):
            raise Forbidden("Pages of this origin may not use this API.", code="origin_not_allowed")
        return {
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": ACCEPTED,
            "Access-Control-Max-Age": str(MAX_AGE),
        }

    @property
    def middleware(self) -> Handler:
        """Answers preflights before anybody asks who it is: they carry no token."""

        @web.middleware
        async def answer_preflights(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self and is_preflight(request.method, request.headers):
                return web.Response(status=204, headers=self.preflight(request.headers.get("Origin")))
            return await handler(request)

        return answer_preflights  # type: ignore[return-value]

    async def add_fields(self, request: web.Request, response: web.StreamResponse) -> None:
        """A response signal: every answer, a problem or a stream as well."""
        if not self:
            return
        response.headers["Vary"] = ", ".join([*response.headers.getall("Vary", []), "Origin"])
        response.headers.update(self.fields(request.headers.get("Origin")))


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a request asks, on behalf of a page, what another one may do."""
    return method == "OPTIONS" and "Origin" in headers and "Access-Control-Request-Method" in headers
