"""The keys that tokens are verified with: fetched rarely, kept while auth is away."""

import asyncio

import pytest
from joserfc.jwk import OKPKey

from focushub_core import Unavailable
from focushub_core.identity.keys import KeySource, due, parse
from focushub_core.testing.services import TokenMint


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Auth:
    """A JWKS endpoint that counts how often it is asked."""

    def __init__(self):
        self.asked = 0
        self.answer = TokenMint().document()

    async def __call__(self):
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("known", "age", "since_attempt", "expected"),
    [
        (False, None, None, True),
        (False, None, 0.5, False),
        (False, None, 1.0, True),
        (True, 10.0, 10.0, False),
        (True, 300.0, 300.0, True),
        (True, 300.0, 29.0, False),
        (False, 29.0, 29.0, False),
        (False, 30.0, 30.0, True),
    ],
)
def test_when_keys_are_fetched(known, age, since_attempt, expected):
    assert due(known, age, since_attempt) is expected


async def test_a_thousand_made_up_key_ids_cause_one_further_fetch():
    """A10"""
    auth, clock = Auth(), Clock()
    source = KeySource(auth, clock)
    await source.keys_for("test")
    clock.now += 31
    for number in range(1000):
        await source.keys_for(f"made-up-{number}")
    assert auth.asked == 2


async def test_who_comes_while_the_first_keys_are_being_fetched_waits_for_them():
    """A burst on a cold start is neither 503 nor a fetch each."""
    auth, clock = Auth(), Clock()
    may_answer = asyncio.Event()

    async def slow():
        await may_answer.wait()
        return await auth()

    source = KeySource(slow, clock)
    waiting = [asyncio.create_task(source.keys_for("test")) for _ in range(8)]
    await asyncio.sleep(0)
    may_answer.set()
    assert all("test" in keys for keys in await asyncio.gather(*waiting))
    assert auth.asked == 1


async def test_keys_go_on_serving_while_auth_is_away():
    auth, clock = Auth(), Clock()
    source = KeySource(auth, clock)
    await source.keys_for("test")
    auth.answer = OSError("refused")
    clock.now += 10_000
    assert "test" in await source.keys_for("test")


@pytest.mark.parametrize(
    "answer", [OSError("refused"), TimeoutError(), b"not json", b'{"keys": [{"kty": "OKP"}, 3]}']
)
async def test_without_any_key_it_is_our_fault_and_not_the_clients(answer):
    auth, clock = Auth(), Clock()
    auth.answer = answer
    source = KeySource(auth, clock)
    with pytest.raises(Unavailable) as caught:
        await source.keys_for("test")
    assert caught.value.code == "identity_unavailable"
    auth.answer = TokenMint().document()
    clock.now += 1
    assert "test" in await source.keys_for("test")


def test_keys_of_other_kinds_are_passed_over():
    key = OKPKey.generate_key("Ed25519", {"kid": "b"}, private=True).as_dict(private=False)
    import json

    document = {"keys": [key, {"kty": "RSA", "kid": "c", "n": "x", "e": "AQAB"}]}
    assert list(parse(json.dumps(document).encode())) == ["b"]
