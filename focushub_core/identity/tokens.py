"""Access tokens: JWTs signed with Ed25519 (RFC 7519, 9864, 9068), by the rules of RFC 8725.

Rules that hold here:

* One algorithm, ``Ed25519``; one type, ``at+jwt``; one issuer and one audience. Whatever else comes is refused
  before its signature is looked at: ``alg: none``, an HMAC under the public key, a refresh token, a key in the
  header.
* A key is found by ``kid`` among the keys that were fetched. The token never says where its key is.
* Time is a parameter, in seconds since the epoch; 30 s of leeway for clocks that differ.
* What reads signatures is loaded with the first of them: 9 MB that a process without tokens does not carry.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from focushub_core.errors import Unauthorized
from focushub_core.identity.user import User

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

ALGORITHM = "Ed25519"
"""Fully specified (RFC 9864), where ``EdDSA`` would leave the curve open."""
TYPE = "at+jwt"
LEEWAY = 30
"""Seconds."""


class Signatures:
    """joserfc, as it is used here. Making one loads it, which takes 50 ms."""

    def __init__(self) -> None:
        from joserfc import jws
        from joserfc.errors import JoseError

        self._registry = jws.JWSRegistry(algorithms=[ALGORITHM])
        self._jws = jws
        self.error: type[Exception] = JoseError

    def made(self, header: dict[str, Any], payload: bytes, key: OKPKey) -> str:
        """A signed token."""
        return self._jws.serialize_compact(header, payload, key, registry=self._registry)

    def payload(self, token: str, key: OKPKey) -> bytes:
        """What it says, once its signature was verified."""
        return self._jws.deserialize_compact(token, key, registry=self._registry).payload

    def header(self, token: str) -> dict[str, Any]:
        """Its header; nothing is verified."""
        return self._jws.extract_compact(token.encode("ascii")).headers()


@cache
def signatures() -> Signatures:
    """The one that there is."""
    return Signatures()


class Claims(msgspec.Struct, frozen=True):
    """What an access token says (RFC 9068, 2.2); times are seconds since the epoch."""

    iss: str
    aud: str
    sub: UUID
    sid: UUID
    jti: UUID
    iat: int
    nbf: int
    exp: int
    scope: str = ""


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The only header that is taken: no ``jwk``, ``jku``, ``x5u`` or ``crit``."""

    alg: str
    typ: str
    kid: str


class Rejected(Unauthorized):
    """The token is not valid here (401, ``invalid_token``); the log says why, the client not."""

    def __init__(self, reason: str) -> None:
        super().__init__("The access token is not valid or has expired.", code="invalid_token")
        self.reason = reason


def sign(claims: Claims, key: OKPKey) -> str:
    """An access token with these claims; ``key`` is private and has a ``kid``."""
    header = {"alg": ALGORITHM, "typ": TYPE, "kid": key.kid}
    return signatures().made(header, msgspec.json.encode(claims), key)


def key_id(token: str) -> str:
    """The ``kid`` of a token whose header is one that we take; nothing is verified yet."""
    return _header(token).kid


def verify(token: str, keys: Mapping[str, OKPKey], *, issuer: str, audience: str, now: float) -> User:
    """The user whom ``token`` speaks for at ``now``; raises `Rejected`."""
    key = keys.get(_header(token).kid)
    if key is None:
        raise Rejected("unknown key")
    try:
        claims = msgspec.json.decode(signatures().payload(token, key), type=Claims)
    except (signatures().error, ValueError, msgspec.DecodeError) as error:
        raise Rejected(f"bad signature or claims: {type(error).__name__}") from None
    _check(claims, issuer, audience, now)
    return User(claims.sub, claims.sid, frozenset(claims.scope.split()), claims.exp)


def _header(token: str) -> _Header:
    try:
        header = msgspec.convert(signatures().header(token), _Header)
    except (signatures().error, ValueError, msgspec.ValidationError):
        raise Rejected("unreadable header") from None
    if header.alg != ALGORITHM or header.typ != TYPE:
        raise Rejected("another algorithm or type")
    return header


def _check(claims: Claims, issuer: str, audience: str, now: float) -> None:
    if claims.iss != issuer:
        raise Rejected("another issuer")
    if claims.aud != audience:
        raise Rejected("another audience")
    if claims.nbf > now + LEEWAY:
        raise Rejected("not valid yet")
    if claims.exp <= now - LEEWAY:
        raise Rejected("expired")
