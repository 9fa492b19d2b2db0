"""Only tokens that this stack signed for itself, for now, as access tokens, speak for anybody (RFC 8725)."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import msgspec
import pytest_asyncio
from joserfc import jws
from joserfc.jwk import OKPKey

from auth_service.app import AuthService
from focushub_core.testing import ServiceClient

Json = dict[str, Any]


def encode(value: object) -> str:
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(part: str) -> Json:
    value: Json = msgspec.json.decode(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return value


def signed(key: OKPKey, header: Json, claims: Json) -> str:
    registry = jws.JWSRegistry(algorithms=["Ed25519"], strict_check_header=False)
    return jws.serialize_compact(header, msgspec.json.encode(claims), key, registry=registry)


@pytest_asyncio.fixture
async def key(auth: ServiceClient) -> OKPKey:
    """The service's own private key."""
    assert isinstance(auth.service, AuthService)
    return await auth.service.signing_keys.signer()


async def test_a_token_says_who_for_whom_and_until_when(tokens: Json, key: OKPKey) -> None:
    header, claims = (decode(part) for part in tokens["access_token"].split(".")[:2])
    assert header == {"alg": "Ed25519", "typ": "at+jwt", "kid": key.kid}
    assert claims.keys() == {"iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp", "scope"}
    assert (claims["iss"], claims["aud"]) == ("focushub", "focushub")
    assert claims["sid"] == tokens["session_id"]
    assert claims["exp"] - claims["iat"] == 600


async def test_what_the_key_signs_rightly_is_taken(auth: ServiceClient, tokens: Json, key: OKPKey) -> None:
    """So the refusals below are due to what they change, and to nothing else."""
    header, claims = (decode(part) for part in tokens["access_token"].split(".")[:2])
    assert (await auth.bearer(signed(key, header, claims)).get("/v1/me")).status == 200


CHANGES: dict[str, tuple[Callable[[OKPKey], Json], Json]] = {
    "wrong audience": (lambda _: {}, {"aud": "another"}),
    "wrong issuer": (lambda _: {}, {"iss": "another"}),
    "not valid yet": (lambda _: {}, {"nbf": int(time.time()) + 60}),
    "expired, leeway passed": (lambda _: {}, {"exp": int(time.time()) - 31}),
    "never expires": (lambda _: {}, {"exp": None}),
    "nobody": (lambda _: {}, {"sub": None}),
    "typ of a plain JWT": (lambda _: {"typ": "JWT"}, {}),
    "typ of a mail link": (lambda _: {"typ": "mfa+jwt"}, {}),
    "no typ": (lambda _: {"typ": None}, {}),
    "unknown kid": (lambda _: {"kid": "another"}, {}),
    "no kid": (lambda _: {"kid": None}, {}),
    "the key in the header": (lambda key: {"jwk": key.as_dict(private=False)}, {}),
    "the key's address in the header": (lambda _: {"jku": "https://x.org/jwks.json"}, {}),
}


async def test_a_token_with_anything_else_in_it_is_refused(
    auth: ServiceClient, tokens: Json, key: OKPKey
) -> None:
    header, claims = (decode(part) for part in tokens["access_token"].split(".")[:2])
    found = {}
    for name, (in_header, in_claims) in CHANGES.items():
        token = signed(key, _changed(header, in_header(key)), _changed(claims, in_claims))
        reply = await auth.bearer(token).get("/v1/me")
        found[name] = (reply.status, reply.body["code"])
    assert found == dict.fromkeys(CHANGES, (401, "invalid_token"))


def _changed(part: Json, changes: Json) -> Json:
    """With the changes; what they make ``None`` is left out."""
    return {name: value for name, value in (part | changes).items() if value is not None}


async def test_an_unsigned_token_is_refused(auth: ServiceClient, tokens: Json) -> None:
    header, claims, _ = tokens["access_token"].split(".")
    for alg in ("none", "None", "Ed25519"):
        token = f"{encode(decode(header) | {'alg': alg})}.{claims}."
        assert (await auth.bearer(token).get("/v1/me")).status == 401


async def test_a_token_with_an_hmac_under_the_public_key_is_refused(
    auth: ServiceClient, tokens: Json
) -> None:
    public = (await auth.get("/.well-known/jwks.json")).body["keys"][0]["x"]
    header, claims, _ = tokens["access_token"].split(".")
    head = f"{encode(decode(header) | {'alg': 'HS256'})}.{claims}"
    for secret in (public.encode(), urlsafe_b64decode(public + "=")):
        token = f"{head}.{encode(hmac.digest(secret, head.encode(), hashlib.sha256))}"
        assert (await auth.bearer(token).get("/v1/me")).status == 401


async def test_a_token_of_another_key_under_our_kid_is_refused(
    auth: ServiceClient, tokens: Json, key: OKPKey
) -> None:
    header, claims = (decode(part) for part in tokens["access_token"].split(".")[:2])
    other = OKPKey.generate_key("Ed25519", private=True)
    assert (await auth.bearer(signed(other, header, claims)).get("/v1/me")).status == 401


async def test_a_refresh_token_is_no_access_token(auth: ServiceClient, tokens: Json) -> None:
    assert (await auth.bearer(tokens["refresh_token"]).get("/v1/me")).status == 401


async def test_nobody_is_asked_to_sign_in(auth: ServiceClient) -> None:
    reply = await auth.get("/v1/me")
    assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
