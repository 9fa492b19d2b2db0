"""From `Authorization` to the user."""

import pytest
from uuid_utils.compat import uuid7

from focushub_core import Unauthorized
from focushub_core.identity import tokens, verifier
from focushub_core.identity.keys import KeySource
from focushub_core.identity.verifier import Verifier, bearer
from focushub_core.testing.services import AUDIENCE, ISSUER, TokenMint


class Clock:
    now = 1_800_000_000.0

    def __call__(self):
        return self.now


def a_verifier(mint, clock):
    async def fetch():
        return mint.document()

    return Verifier(KeySource(fetch, clock), issuer=ISSUER, audience=AUDIENCE, clock=clock)


@pytest.mark.parametrize(
    ("field", "token"), [("Bearer abc", "abc"), ("bearer abc", "abc"), ("BEARER  abc ", "abc")]
)
def test_the_scheme_is_read_without_regard_to_case(field, token):
    assert bearer(field) == token


@pytest.mark.parametrize("field", [None, "", "Bearer", "Bearer ", "Basic abc", "abc"])
def test_anything_else_is_a_401_with_a_challenge(field):
    with pytest.raises(Unauthorized) as caught:
        bearer(field)
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_token_is_verified_once_and_remembered_until_it_ends(monkeypatch):
    mint, clock = TokenMint(), Clock()
    subject = a_verifier(mint, clock)
    token = mint.token(uuid7(), now=clock.now)
    user = await subject.verify(token)
    with monkeypatch.context() as patch:
        patch.setattr(tokens, "verify", lambda *_, **__: pytest.fail("verified again"))
        assert await subject.verify(token) == user
    clock.now += 600 + tokens.LEEWAY
    with pytest.raises(tokens.Rejected):
        await subject.verify(token)


async def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(verifier, "REMEMBERED", 3)
    mint, clock = TokenMint(), Clock()
    subject = a_verifier(mint, clock)
    for _ in range(10):
        await subject.verify(mint.token(uuid7(), now=clock.now))
    assert len(subject._known) == 3
