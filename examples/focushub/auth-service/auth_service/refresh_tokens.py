"""Refresh tokens, and what becomes of one that is presented. Pure.

Rules that hold here:

* A token is ``base64url(version | session id | counter | HMAC-SHA-256)``, the HMAC over what precedes it, under a key
  of the session's own. So the session's current token can be made anew from its counter alone, and handed once more
  to a client that lost it or asked twice at once; a table of hashes could not do this.
* One text for one token: what decodes to the same bytes by a looser reading of base64 is refused.
* The counter of a token against the session's decides; see `judge`.
"""

from __future__ import annotations

import binascii
import hmac
import struct
from base64 import b64decode, urlsafe_b64encode
from datetime import timedelta
from enum import Enum
from uuid import UUID

import msgspec

GRACE = timedelta(seconds=10)
"""How long after a rotation an older token still counts as another tab that asked too late."""

_VERSION = 1
_HEAD = struct.Struct(">B16sQ")
_LENGTH = _HEAD.size + 32


class Presented(msgspec.Struct, frozen=True):
    """A token as a client sent it; nothing is known to be true before `signed_by`."""

    session_id: UUID
    counter: int
    raw: bytes

    def signed_by(self, key: bytes) -> bool:
        """Whether the session with this key gave the token."""
        head, signature = self.raw[: _HEAD.size], self.raw[_HEAD.size :]
        return hmac.compare_digest(signature, hmac.digest(key, head, "sha256"))


class Verdict(Enum):
    """What becomes of a token."""

    ROTATE = "rotate"
    """It is the current one: the next takes its place."""
    REPEAT = "repeat"
    """It was just replaced: the client gets the current one, and nothing is counted."""
    REUSED = "reused"
    """It was replaced long ago, so two parties hold tokens of this session: the session ends."""
    INVALID = "invalid"
    """The session never gave it."""


def make(session_id: UUID, counter: int, key: bytes) -> str:
    """The token of a session at ``counter``; always the same text."""
    head = _HEAD.pack(_VERSION, session_id.bytes, counter)
    return urlsafe_b64encode(head + hmac.digest(key, head, "sha256")).rstrip(b"=").decode()


def read(text: str) -> Presented | None:
    """A token's parts; ``None`` where the text cannot be a token."""
    try:
        raw = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != _LENGTH or urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        return None
    version, session_id, counter = _HEAD.unpack_from(raw)
    return Presented(UUID(bytes=session_id), counter, raw) if version == _VERSION else None


def judge(current: int, presented: int, since_rotation: timedelta) -> Verdict:
    """What becomes of a genuine token with counter ``presented`` when the session's is ``current``.

    The one before the current is always answered: its answer may have been lost on the way, however long ago.
    """
    behind = current - presented
    if behind < 0:
        return Verdict.INVALID
    if behind == 0:
        return Verdict.ROTATE
    return Verdict.REPEAT if behind == 1 or since_rotation <= GRACE else Verdict.REUSED
