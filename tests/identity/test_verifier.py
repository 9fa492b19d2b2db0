"""From `Authorization` to the user."""

import pytest
from aiohttp.test_utils import make_mocked_request
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


async def test_whose_token_it_is_is_said_at_once_if_it_was_verified_before():
    mint, clock = TokenMint(), Clock()
    subject, ann = a_verifier(mint, clock), uuid7()
    request = make_mocked_request(
        "GET", "/", headers={"Authorization": f"Bearer {mint.token(ann, now=clock.now)}"}
    )
    assert await subject.person(request) == str(ann)

    assert subject.person(request) == str(ann)
    clock.now += 600 + tokens.LEEWAY
    assert subject.person(request) is None


@pytest.mark.parametrize("fields", [{}, {"Authorization": "Basic abc"}])
def test_who_sends_no_token_is_nobody(fields):
    assert a_verifier(TokenMint(), Clock()).person(make_mocked_request("GET", "/", headers=fields)) is None


async def test_a_token_that_is_not_good_is_nobodys():
    request = make_mocked_request("GET", "/", headers={"Authorization": "Bearer abc"})

    assert await a_verifier(TokenMint(), Clock()).person(request) is None
