"""Conditional requests (RFC 9110, 13): what has not changed is not sent again, and no change is lost.

Rules that hold here:

* What has a ``version``, a whole number that grows with each change, has it as its entity tag, in quotes. Any other
  answer's tag is a digest of its bytes.
* ``If-None-Match`` is answered by 304 for GET and HEAD, by the weak comparison (13.1.2); ``If-Match`` by 412, by the
  strong one (13.1.1). A field that cannot be read names nothing.
* An answer is one person's: ``Vary`` says so to a browser, where two people's versions of ``/v1/me`` may both be "1".
* `IfMatch.require` is called where the row is locked: only there is the version still what it was a moment ago.

`EntityTags` is the habit of the first half, `IfMatch` the parameter of the second::

    class Notes(Service):
        habits = (EntityTags(),)

        @patch("/v1/notes/{note_id}")
        async def change(self, note_id: UUID, body: Change, user: User, if_match: IfMatch) -> Note: ...
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from focushub_core.errors import PreconditionFailed
from focushub_core.http.description import Description
from focushub_core.http.habit import Call, Habit
from focushub_core.http.models import Answer, encode

if TYPE_CHECKING:
    from focushub_core.http.handlers import Operation

_LIST = re.compile(r'[ \t]*(?:W/)?"[^"]*"[ \t]*(?:,[ \t]*(?:W/)?"[^"]*"[ \t]*)*')
_TAG = re.compile(r'(W/)?("[^"]*")')
_SAFE = frozenset({"GET", "HEAD"})
_GOES_WITH_304 = ("ETag", "Cache-Control", "Content-Location", "Expires", "Vary")
"""RFC 9110, 15.4.5."""


def etag(version: int) -> str:
    """The ``ETag`` of a version."""
    return f'"{version}"'


def digest_tag(body: bytes) -> str:
    """The ``ETag`` of bytes that have no version: equal for equal bytes, and for no others."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def names(field: str, tag: str) -> bool:
    """Whether an ``If-None-Match`` field names ``tag``: by the weak comparison, in which ``W/`` says nothing."""
    if field.strip() == "*":
        return True
    return tag.removeprefix("W/") in {found for _, found in _tags(field)}


def _tags(field: str) -> list[tuple[str, str]]:
    return _TAG.findall(field) if _LIST.fullmatch(field) else []


class IfMatch(msgspec.Struct, frozen=True):
    """The version that a change is for: a handler with a parameter of this type takes ``If-Match``."""

    field: str | None = None

    @classmethod
    def of(cls, request: web.Request) -> IfMatch:
        """What the request says."""
        found = request.headers.getall("If-Match", [])
        return cls(", ".join(found) if found else None)

    @classmethod
    def describe(cls, description: Description) -> None:
        """In the OpenAPI document."""
        words = "The entity tag of the version that this change is for; with another one it is refused."
        description.takes_header("If-Match", {"type": "string", "examples": ['"3"']}, words)
        description.refuses(412, PreconditionFailed.code)

    def require(self, version: int) -> None:
        """Raises `PreconditionFailed` unless the field is absent, ``*``, or names ``version``."""
        if self.field is None or self.field.strip() == "*":
            return
        if ("", etag(version)) not in _tags(self.field):
            raise PreconditionFailed("This was changed since you read it; read it again.")


class EntityTags(Habit):
    """Gives every success with a body an ``ETag``, and answers 304 to who has it already.

    ``max_age`` is how long, in seconds, who asked may keep the answer without asking again; never is it for others.
    """

    def __init__(self, *, max_age: int = 0) -> None:
        self._caching = f"private, max-age={max_age}" if max_age else "private, no-cache"

    def wrap(self, call: Call, operation: Operation) -> Call:
        if operation.route.method in _SAFE:
            return self._reading(call, operation.route.status)
        return _changing(call)

    def describe(self, description: Description, operation: Operation) -> None:
        """The fields, and 304 where something is read."""
        description.answers_header("ETag", {"type": "string"}, "The version of what is answered.")
        if operation.route.method in _SAFE:
            words = "An entity tag that was answered before: 304 if nothing has changed."
            description.takes_header("If-None-Match", {"type": "string"}, words)
            description.answers(304, "Nothing has changed since the answer with this entity tag.")

    def _reading(self, call: Call, status: int) -> Call:
        async def read(request: web.Request) -> Any:
            result = await call(request)
            answer = result if isinstance(result, Answer) else Answer(result)
            if isinstance(result, web.StreamResponse) or answer.body is None:
                return result
            body = encode(answer.body)
            tag = _tag(answer.body) or digest_tag(body)
            headers = {"Cache-Control": self._caching, "ETag": tag, "Vary": "Authorization"}
            headers.update(answer.headers)
            asked = request.headers.getall("If-None-Match", [])
            if (answer.status or status) == 200 and asked and names(", ".join(asked), headers["ETag"]):
                kept = {name: headers[name] for name in _GOES_WITH_304 if name in headers}
                return web.Response(status=304, headers=kept)
            return Answer(msgspec.Raw(body), answer.status, headers)

        return read


def _changing(call: Call) -> Call:
    """A change tells the version that it made; what has none gets none: its next reading may differ."""

    async def change(request: web.Request) -> Any:
        result = await call(request)
        answer = result if isinstance(result, Answer) else Answer(result)
        tag = _tag(answer.body)
        if isinstance(result, web.StreamResponse) or tag is None or "ETag" in answer.headers:
            return result
        return Answer(answer.body, answer.status, {"ETag": tag, **answer.headers})

    return change


def _tag(body: Any) -> str | None:
    version = getattr(body, "version", None)
    return etag(version) if isinstance(version, int) else None
