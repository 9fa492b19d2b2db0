"""Sessions: begun by a login, kept up by refresh tokens, ended by time or by a token's reuse.

Rules that hold here:

* A refresh is decided and counted under the session's row lock: however many come with one token at once,
  there is one rotation, and all get the same next token.
* A session ends 14 days after its last rotation, and 90 days after its login in any case (ASVS 7.3).
* Only who holds one of a session's tokens is told what became of it; all else is one and the same 401.
"""

from __future__ import annotations

import logging
import os
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from focushub_core import Answer, Body, Clock, Database, Routes, Unauthorized
from focushub_core.database import Connection, retry_conflicts

from . import refresh_tokens
from .access_tokens import LIFETIME, AccessTokens
from .refresh_tokens import Presented, Verdict
from .vault import Vault

IDLE = timedelta(days=14)
ABSOLUTE = timedelta(days=90)

_INSERT = """
    INSERT INTO sessions (id, user_id, device_name, refresh_key_enc,
                          created_at, last_refreshed_at, idle_expires_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $5, $6, $7)
"""
_LOCK = """
    SELECT sessions.id, user_id, refresh_key_enc, refresh_counter, last_refreshed_at,
           least(idle_expires_at, expires_at) AS ends_at,
           revoked_at IS NULL AND status = 'active' AS open
    FROM sessions JOIN users ON users.id = user_id
    WHERE sessions.id = $1
    FOR UPDATE OF sessions
"""
_ROTATE = """
    UPDATE sessions SET refresh_counter = refresh_counter + 1, last_refreshed_at = $2, idle_expires_at = $3
    WHERE id = $1
"""
_REVOKE = "UPDATE sessions SET revoked_at = $2, revoke_reason = $3 WHERE id = $1"

_log = logging.getLogger(__name__)


class Tokens(msgspec.Struct, frozen=True):
    """What a login or a refresh gives (RFC 6749, 5.1); ``expires_in`` is the access token's, in seconds."""

    access_token: str
    refresh_token: str
    session_id: UUID
    token_type: str = "Bearer"  # noqa: S105
    expires_in: int = LIFETIME

    def answer(self) -> Answer[Tokens]:
        """An answer that nothing on the way keeps."""
        return Answer(self, headers={"Cache-Control": "no-store"})


class _Session(msgspec.Struct, frozen=True):
    """A row, locked."""

    id: UUID
    user_id: UUID
    refresh_key_enc: bytes
    refresh_counter: int
    last_refreshed_at: datetime
    ends_at: datetime
    open: bool


class Sessions:
    """The sessions in ``database``."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        access_tokens: AccessTokens,
        clock: Clock,
    ) -> None:
        self._database = database
        self._vault = vault
        self._access_tokens = access_tokens
        self._clock = clock

    async def start(self, user_id: UUID, device_name: str | None) -> Tokens:
        """Begins a session of somebody who has just proved who they are."""
        session_id, key, now = uuid7(), os.urandom(32), self._clock()
        sealed = self._vault.seal(key, _row(session_id))
        await self._database.execute(
            _INSERT, session_id, user_id, device_name, sealed, now, now + IDLE, now + ABSOLUTE
        )
        return await self._tokens(user_id, session_id, refresh_tokens.make(session_id, 0, key))

    @retry_conflicts()
    async def refresh(self, token: str) -> Tokens:
        """New tokens for a refresh token; raises `Unauthorized` with the code that says why not."""
        presented = refresh_tokens.read(token)
        if presented is None:
            raise _invalid()
        async with self._database.transaction() as transaction:
            session, key = await self._lock(transaction, presented)
            verdict = await self._settle(transaction, session, presented.counter)
        # Refused only here: a revocation must not be rolled back.
        if verdict is Verdict.REUSED:
            _log.warning("a replaced refresh token came again", extra={"revoked_session": session.id})
            raise _reused()
        if verdict is Verdict.INVALID:
            raise _invalid()
        counter = session.refresh_counter + (verdict is Verdict.ROTATE)
        current = refresh_tokens.make(session.id, counter, key)
        return await self._tokens(session.user_id, session.id, current)

    async def _lock(self, transaction: Connection, presented: Presented) -> tuple[_Session, bytes]:
        """The session that gave the token, and its key; others that present one of its tokens wait."""
        session = await transaction.one(_Session, _LOCK, presented.session_id)
        if session is None:
            raise _invalid()
        key = self._vault.open(session.refresh_key_enc, _row(session.id))
        if not presented.signed_by(key):
            raise _invalid()
        return session, key

    async def _settle(self, transaction: Connection, session: _Session, counter: int) -> Verdict:
        """Judges a genuine token of the session, and writes down what follows."""
        now = self._clock()
        if not session.open or session.ends_at <= now:
            raise _ended()
        verdict = refresh_tokens.judge(session.refresh_counter, counter, now - session.last_refreshed_at)
        if verdict is Verdict.ROTATE:
            await transaction.execute(_ROTATE, session.id, now, now + IDLE)
        elif verdict is Verdict.REUSED:
            await transaction.execute(_REVOKE, session.id, now, "refresh_token_reused")
        return verdict

    async def _tokens(self, user_id: UUID, session_id: UUID, refresh_token: str) -> Tokens:
        return Tokens(await self._access_tokens.issue(user_id, session_id), refresh_token, session_id)


class Refresh(Body, frozen=True):
    """``POST /v1/auth/token/refresh``"""

    refresh_token: Annotated[str, msgspec.Meta(max_length=200)]


routes = Routes("/v1/auth/token")


@routes.post("/refresh")
async def refresh(body: Refresh, sessions: Sessions) -> Answer[Tokens]:
    """New tokens for a refresh token."""
    return (await sessions.refresh(body.refresh_token)).answer()


def _row(session_id: UUID) -> str:
    return f"session:{session_id}"


def _invalid() -> Unauthorized:
    return Unauthorized("The refresh token is not valid.", code="invalid_refresh_token")


def _ended() -> Unauthorized:
    return Unauthorized("The session has ended; sign in again.", code="session_expired")


def _reused() -> Unauthorized:
    return Unauthorized(
        "The refresh token had been replaced; the session is ended to be safe. Sign in again.",
        code="refresh_token_reused",
    )
