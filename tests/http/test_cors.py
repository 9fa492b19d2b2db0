"""Pages of allowed origins may read answers; others may not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.errors import Forbidden
from focushub_core.http.cors import Cors, is_preflight

APP = "https://app.example"
CORS = Cors([APP, "http://localhost:5173"])


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (APP, True),
        ("HTTPS://app.example", True),
        ("http://localhost:5173", True),
        ("http://localhost", False),
        ("http://app.example", False),
        ("https://app.example.evil.example", False),
        ("https://evil-app.example", False),
        ("https://app.example:8443", False),
        ("null", False),
        ("*", False),
        ("", False),
        (None, False),
    ],
)
def test_an_origin_is_allowed_as_a_whole_or_not_at_all(origin: str | None, allowed: bool) -> None:
    assert CORS.allows(origin) is allowed
    assert CORS.fields(origin).get("Access-Control-Allow-Origin") == (origin if allowed else None)


@given(st.text())
def test_without_a_list_nobody_is_allowed(origin: str) -> None:
    assert not Cors(()).allows(origin)
    assert not Cors(())


def test_a_page_may_send_keys_and_tags_and_read_what_it_needs() -> None:
    """And never credentials: there are no cookies to send."""
    said = CORS.preflight(APP) | CORS.fields(APP)
    for name in ("Authorization", "Idempotency-Key", "If-Match", "Content-Type"):
        assert name in said["Access-Control-Allow-Headers"]
    for name in ("ETag", "Location", "Retry-After", "Idempotency-Replayed"):
        assert name in said["Access-Control-Expose-Headers"]
    assert "PATCH" in said["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in said


def test_a_preflight_of_another_origin_is_403() -> None:
    with pytest.raises(Forbidden) as refused:
        CORS.preflight("https://evil.example")
    assert refused.value.code == "origin_not_allowed"


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("OPTIONS", ["Origin", "Access-Control-Request-Method"], True),
        ("OPTIONS", ["Origin"], False),
        ("OPTIONS", ["Access-Control-Request-Method"], False),
        ("POST", ["Origin", "Access-Control-Request-Method"], False),
    ],
)
def test_a_preflight_is_known_by_its_fields(method: str, headers: Iterable[str], expected: Any) -> None:
    assert is_preflight(method, dict.fromkeys(headers, "x")) is expected
