"""Access tokens: short-lived, verified by every service with the published keys, asked about nowhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

from uuid_utils.compat import uuid7

from focushub_core.identity import tokens

from .keys import SigningKeys

LIFETIME = 600
"""Seconds."""


class AccessTokens:
    """Issues them; ``clock`` gives seconds since the epoch."""

    def __init__(
        self, keys: SigningKeys, *, issuer: str, audience: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    async def issue(self, user_id: UUID, session_id: UUID) -> str:
        """A token that speaks for the user from now on, for `LIFETIME` seconds."""
        now = int(self._clock())
        claims = tokens.Claims(
            iss=self._issuer,
            aud=self._audience,
            sub=user_id,
            sid=session_id,
            jti=uuid7(),
            iat=now,
            nbf=now,
            exp=now + LIFETIME,
        )
        return tokens.sign(claims, await self._keys.signer())
