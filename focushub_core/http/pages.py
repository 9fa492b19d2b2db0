"""Keyset pages: ``?limit=1..200&cursor=`` in, ``{items, next_cursor}`` out.

A cursor is the last row's sort key, signed: a client can only hand back what it was given, so a forged, cut or foreign
one is a 400 and never reaches SQL. Keyset pages neither skip nor repeat a row while others are inserted
(https://use-the-index-luke.com/no-offset).
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from focushub_core.errors import BadRequest

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
