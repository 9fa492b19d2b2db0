"""One key signs, all instances share it, and its private half is sealed."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode
from typing import Any

import pytest

from auth_service.app import AuthService
from auth_service.vault import Vault
from focushub_core import ConfigurationError, Secret
from focushub_core.errors import Internal
from focushub_core.testing import Serve, ServiceClient

SECRET = "a secret for tests, long enough"
ANN = {"email": "ann@x.org", "password": "correct staple battery"}


async def test_the_public_key_is_published_before_anything_was_signed(auth: ServiceClient) -> None:
    reply = await auth.get("/.well-known/jwks.json")
    assert reply.status == 200
    assert reply.headers["Cache-Control"] == "public, max-age=300"
    (key,) = reply.body["keys"]
    assert key.keys() == {"kty", "crv", "x", "kid", "use", "alg"}
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("OKP", "Ed25519", "sig", "Ed25519")


async def test_instances_that_start_together_share_one_key(serve: Serve) -> None:
    instances = [await serve(AuthService, AUTH_KEY_SECRET=SECRET) for _ in range(4)]
    replies = await asyncio.gather(
        *(instance.get("/.well-known/jwks.json") for instance in instances for _ in range(3))
    )
    assert len({reply.body["keys"][0]["kid"] for reply in replies}) == 1
    assert [len(reply.body["keys"]) for reply in replies] == [1] * 12


async def test_what_one_instance_signs_another_takes(serve: Serve) -> None:
    first, second = [await serve(AuthService, AUTH_KEY_SECRET=SECRET) for _ in range(2)]
    await first.post("/v1/auth/register", json=ANN)
    token = (await first.post("/v1/auth/login", json=ANN)).body
    assert (await second.bearer(token["access_token"]).get("/v1/me")).status == 200
    reply = await second.post("/v1/auth/token/refresh", json={"refresh_token": token["refresh_token"]})
    assert (await first.bearer(reply.body["access_token"]).get("/v1/me")).status == 200


async def test_the_private_key_is_not_readable_in_the_database(
    auth: ServiceClient, tokens: dict[str, Any]
) -> None:
    assert isinstance(auth.service, AuthService)
    private = (await auth.service.signing_keys.signer()).as_dict(private=True)["d"]
    row = await auth.service.database.fetchrow("SELECT * FROM signing_keys")
    assert row is not None
    assert urlsafe_b64decode(f"{private}=") not in row["private_enc"]
    assert len(row["private_enc"]) == 12 + 32 + 16


async def test_with_another_secret_nothing_is_signed_and_the_log_says_why(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    first = await serve(AuthService, AUTH_KEY_SECRET=SECRET)
    await first.post("/v1/auth/register", json=ANN)
    await first.get("/.well-known/jwks.json")
    second = await serve(AuthService, AUTH_KEY_SECRET=SECRET + "!")
    reply = await second.post("/v1/auth/login", json=ANN)
    assert (reply.status, reply.body["detail"]) == (500, "Internal Server Error")
    assert "AUTH_KEY_SECRET is not the one" in caplog.text
    assert SECRET not in caplog.text


async def test_without_the_database_the_keys_cannot_be_fetched_which_is_nobodys_401(
    auth: ServiceClient,
) -> None:
    assert auth.service.database is not None
    await auth.service.database.close()
    reply = await auth.person().get("/v1/me")
    assert (reply.status, reply.body["code"]) == (503, "identity_unavailable")


def test_what_is_sealed_opens_with_the_same_secret_for_the_same_row_only() -> None:
    vault = Vault(Secret(SECRET))
    sealed = vault.seal(b"plain", "session:1")
    assert Vault(Secret(SECRET)).open(sealed, "session:1") == b"plain"
    assert vault.seal(b"plain", "session:1") != sealed
    for other, row in ((vault, "session:2"), (Vault(Secret(SECRET + "!")), "session:1")):
        with pytest.raises(Internal):
            other.open(sealed, row)


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(60)])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(Internal):
        Vault(Secret(SECRET)).open(sealed, "session:1")


def test_a_secret_that_can_be_guessed_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="AUTH_KEY_SECRET"):
        Vault(Secret("secret"))
