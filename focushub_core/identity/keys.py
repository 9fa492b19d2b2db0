"""The public keys that access tokens are verified with, from auth's JWKS document (RFC 7517).

Rules that hold here:

* Keys are fetched when first needed and kept; they are fetched anew when they are older than ``MAX_AGE`` or a
  token names a key that is not among them, but then at most once per ``MIN_INTERVAL``: a thousand made-up key ids
  cause one fetch.
* A fetch is everybody's: who goes away while waiting for it does not take it from the others.
* When auth is away, the keys at hand go on serving. Without any the answer is 503, never 401: it is not the
  client's fault.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from focushub_core.errors import Unavailable
from focushub_core.telemetry import trace

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

MAX_AGE = 300.0
"""Seconds after which keys are fetched anew; auth publishes a key at least this long before it signs with it."""
MIN_INTERVAL = 30.0
"""Seconds between two fetches for key ids that are not known."""
RETRY_INTERVAL = 1.0
"""Seconds between two fetches while there is no key at all."""
TIMEOUT = aiohttp.ClientTimeout(total=2.0)

_log = logging.getLogger(__name__)

Keys = Mapping[str, "OKPKey"]
Fetch = Callable[[], Awaitable[bytes]]


class JwksDocument(msgspec.Struct, frozen=True):
    """``{"keys": [...]}``"""

    keys: list[dict[str, str | list[str]]]


def parse(document: bytes) -> dict[str, OKPKey]:
    """The Ed25519 keys of a JWKS document by their ids; keys of other kinds are passed over. Raises ValueError."""
    from joserfc.errors import JoseError  # loaded with the first keys: see `identity.tokens`
    from joserfc.jwk import OKPKey

    try:
        entries = msgspec.json.decode(document, type=JwksDocument).keys
        return {
            str(entry["kid"]): OKPKey.import_key(entry)
            for entry in entries
            if entry.get("kty") == "OKP" and entry.get("crv") == "Ed25519" and "kid" in entry
        }
    except (msgspec.DecodeError, JoseError) as error:
        raise ValueError(f"not a JWKS document: {error}") from error


def due(known: bool, keys_age: float | None, since_attempt: float | None) -> bool:
    """Whether to fetch now. Ages in seconds; ``None``: never."""
    if keys_age is None:
        return since_attempt is None or since_attempt >= RETRY_INTERVAL
    if known and keys_age < MAX_AGE:
        return False
    return since_attempt is None or since_attempt >= MIN_INTERVAL


class KeySource:
    """The keys, fetched as said above. ``fetch`` gives the JWKS document or raises `OSError` or `ValueError`."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: Keys = {}
        self._fetched_at: float | None = None
        self._attempted_at: float | None = None
        self._renewal: asyncio.Task[None] | None = None

    async def keys_for(self, kid: str) -> Keys:
        """The keys at hand, with ``kid`` among them if auth has it; raises `Unavailable` when there are none."""
        renewal = self._renewal
        if renewal is None and self._due(kid):
            self._attempted_at = self._clock()
            renewal = self._renewal = asyncio.create_task(self._renew(), name="keys")
        elif kid in self._keys:
            renewal = None
        if renewal is not None:
            await asyncio.shield(renewal)
        if self._fetched_at is None:
            raise Unavailable("Tokens cannot be verified at the moment.", code="identity_unavailable")
        return self._keys

    @property
    def fetched(self) -> bool:
        """Whether there were keys ever."""
        return self._fetched_at is not None

    def _due(self, kid: str) -> bool:
        return due(kid in self._keys, self._age(self._fetched_at), self._age(self._attempted_at))

    def _age(self, moment: float | None) -> float | None:
        return None if moment is None else self._clock() - moment

    async def _renew(self) -> None:
        try:
            self._keys = parse(await self._fetch())
            self._fetched_at = self._clock()
        except (OSError, TimeoutError, aiohttp.ClientError, ValueError) as error:
            _log.warning("cannot fetch the keys that tokens are verified with", extra={"reason": str(error)})
        finally:
            self._renewal = None


async def download(url: str) -> bytes:
    """The document at ``url``, on a connection of its own: it is asked for rarely."""
    with trace.calling("GET", url) as call:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.get(url, headers=call.fields, raise_for_status=True) as response,
        ):
            call.answered(response.status)
            return await response.read()
