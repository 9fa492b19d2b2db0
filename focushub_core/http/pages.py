"""Keyset pages: ``?limit=1..200&cursor=`` in, ``{items, next_cursor}`` out.

A cursor is the last row's sort key, signed: a client can only hand back what it was given, so a forged, cut or foreign
one is a 400 and never reaches SQL. Keyset pages neither skip nor repeat a row while others are inserted
(https://use-the-index-luke.com/no-offset).

A list takes a parameter of type `Paging`, and needs the setting ``CURSOR_SECRET``::

    @get("/v1/notes")
    async def notes(self, user: User, page: Paging, database: Database) -> Page[Note]:
        sql = "SELECT * FROM notes WHERE user_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3"
        found = await database.all(Note, sql, user.id, page.after(UUID), page.fetch)
        return page.of(found, lambda note: note.id)
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec
from aiohttp import web

from focushub_core.errors import BadRequest, FieldError, Invalid
from focushub_core.http.description import Description
from focushub_core.http.parameters import parameter

T = TypeVar("T")
K = TypeVar("K")

Limit = Annotated[int, msgspec.Meta(ge=1, le=200)]
"""How many items a page holds."""

_SIGNATURE_BYTES = 16


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some items, and the cursor of those that follow (``None``: there are none)."""

    items: Sequence[T]
    next_cursor: str | None = None


class Pager(Generic[K]):
    """Makes and reads the cursors of one list; ``key_type`` is its sort key, ``purpose`` tells lists apart."""

    def __init__(self, secret: str, purpose: str, key_type: Any) -> None:
        self._secret = hashlib.sha256(f"cursor:{purpose}:{secret}".encode()).digest()
        self._decoder: msgspec.json.Decoder[K] = msgspec.json.Decoder(key_type)

    def page(self, rows: Sequence[T], limit: int, key: Callable[[T], K]) -> Page[T]:
        """A page of at most ``limit`` out of ``rows``, which were fetched with one more than that."""
        items = rows[:limit]
        more = len(rows) > limit
        return Page(items, self.encode(key(items[-1])) if more else None)

    def encode(self, key: K) -> str:
        """The cursor behind the row with this sort key."""
        text = msgspec.json.encode(key)
        return urlsafe_b64encode(self._sign(text) + text).rstrip(b"=").decode("ascii")

    def decode(self, cursor: str | None) -> K | None:
        """The sort key in ``cursor``; `BadRequest` (``invalid_cursor``) where it is not one of ours."""
        if cursor is None:
            return None
        try:
            raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            text = raw[_SIGNATURE_BYTES:]
            if not hmac.compare_digest(raw[:_SIGNATURE_BYTES], self._sign(text)):
                raise BadRequest("The cursor is not one that this list gave.", code="invalid_cursor")
            return self._decoder.decode(text)
        except (binascii.Error, ValueError, msgspec.DecodeError):
            raise BadRequest("The cursor is not one that this list gave.", code="invalid_cursor") from None

    def _sign(self, text: bytes) -> bytes:
        return hmac.digest(self._secret, text, "sha256")[:_SIGNATURE_BYTES]


class Paging:
    """The page that a request asks for. Subclass it for a list with another ``default_limit``."""

    default_limit: ClassVar[int] = 50

    def __init__(self, secret: str, purpose: str, limit: int, cursor: str | None) -> None:
        self.limit = limit
        self._secret, self._purpose, self._cursor = secret, purpose, cursor

    @property
    def fetch(self) -> int:
        """How many rows to fetch: one more than the page holds tells whether another page follows."""
        return self.limit + 1

    def after(self, key_type: type[K]) -> K | None:
        """The sort key behind which the page begins; ``None`` for the first. `BadRequest` (``invalid_cursor``)."""
        return self._pager(key_type).decode(self._cursor)

    def of(self, rows: Sequence[T], key: Callable[[T], Any]) -> Page[T]:
        """The page, out of `fetch` rows from behind `after`; ``key`` gives a row's sort key."""
        return self._pager(object).page(rows, self.limit, key)

    def _pager(self, key_type: Any) -> Pager[Any]:
        return _pager(self._secret, self._purpose, key_type)

    @classmethod
    def provider(cls, secret: str) -> Callable[[web.Request], Paging]:
        """Reads pages out of requests. A cursor is only good on the route that gave it."""

        limits = parameter("limit", "query", "limit", Limit, cls.default_limit)
        cursors = parameter("cursor", "query", "cursor", str, None)

        def page(request: web.Request) -> Paging:
            wrong: list[FieldError] = []
            limit, cursor = limits.read(request, wrong), cursors.read(request, wrong)
            if wrong:
                raise Invalid(wrong[0].detail, errors=wrong)
            return cls(secret, _template(request), limit, cursor)

        return page

    @classmethod
    def describe(cls, description: Description) -> None:
        """In the OpenAPI document."""
        limit = {"type": "integer", "minimum": 1, "maximum": 200, "default": cls.default_limit}
        described = "The ``next_cursor`` of the page before."
        description.parameters += [
            {"name": "limit", "in": "query", "schema": limit, "description": "How many items a page holds."},
            {"name": "cursor", "in": "query", "schema": {"type": "string"}, "description": described},
        ]
        description.refuses(400, "invalid_cursor")
        description.refuses(422, Invalid.code)


@lru_cache(maxsize=256)  # a key derivation and a decoder a list, not a request
def _pager(secret: str, purpose: str, key_type: Any) -> Pager[Any]:
    return Pager(secret, purpose, key_type)


def _template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else request.path
