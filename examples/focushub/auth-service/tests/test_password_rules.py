"""Passwords: long enough, not among the first that are guessed, and otherwise anything (ASVS 6.2)."""

from __future__ import annotations

import pytest

from auth_service.password_rules import COMMON, MAX_LENGTH, MIN_LENGTH, weakness
from focushub_core.testing import ServiceClient


@pytest.mark.parametrize("password", ["", "a", "ab1!xyz", "ütf acht"[:7]])
def test_fewer_than_eight_characters_are_too_weak(password: str) -> None:
    assert weakness(password) is not None


@pytest.mark.parametrize(
    "password", ["password", "PassWord1", "12345678", "qwertyuiop", "iloveyou", "trustno1"]
)
def test_common_ones_are_too_weak_in_upper_and_lower_case(password: str) -> None:
    assert weakness(password) is not None


@pytest.mark.parametrize(
    "password", ["focushub", "FocusHub", "focushub123", "Focus-Hub 2026!", "123focushub", "MyFocusHub!"]
)
def test_our_own_words_are_too_weak_whatever_digits_and_signs_are_around_them(password: str) -> None:
    assert weakness(password) is not None


@pytest.mark.parametrize(
    "password",
    ["xkvqzwtr", "aaaa bbbb cccc", "        x", "пароль-из-слов", "🔑🔑🔑🔑🔑🔑🔑🔑", "9" * 64, "z" * 128,
     "focushub keeps me from sleeping"],
)  # fmt: skip
def test_any_composition_is_good(password: str) -> None:
    """No digit, capital or sign is asked for, and spaces count."""
    assert weakness(password) is None


def test_the_list_holds_only_what_could_be_chosen() -> None:
    words = COMMON.read_text("utf-8").splitlines()
    assert words == sorted(set(words))
    assert all(MIN_LENGTH <= len(word) <= MAX_LENGTH and word == word.casefold() for word in words)


async def test_long_passwords_that_differ_in_the_last_character_are_different(auth: ServiceClient) -> None:
    """Nothing is cut, where bcrypt would look at 72 bytes only."""
    long = "p" * 99
    account = {"email": "ann@x.org", "password": long + "a"}
    assert (await auth.post("/v1/auth/register", json=account)).status == 202
    assert (await auth.post("/v1/auth/login", json=account)).status == 200
    other = await auth.post("/v1/auth/login", json=account | {"password": long + "b"})
    assert (other.status, other.body["code"]) == (401, "invalid_credentials")


@pytest.mark.parametrize(
    ("chosen", "typed"), [("caf\u00e9 au lait", "cafe\u0301 au lait"), (" with space ", "with space")]
)
async def test_a_password_is_taken_as_it_is(auth: ServiceClient, chosen: str, typed: str) -> None:
    """Neither trimmed nor normalised."""
    account = {"email": "ann@x.org", "password": chosen}
    await auth.post("/v1/auth/register", json=account)
    assert (await auth.post("/v1/auth/login", json=account)).status == 200
    assert (await auth.post("/v1/auth/login", json=account | {"password": typed})).status == 401
