"""What becomes of header fields: tables, and properties over any fields at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .fields_model import HOP_BY_HOP, Fields, Hop, request_fields, response_fields

HOP = Hop("load-balancer", "192.0.2.1", False, "http", "example.com", "id-1234567")
ADDED = [
    ("X-Forwarded-For", "192.0.2.1"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "example.com"),
    ("X-Request-Id", "id-1234567"),
    ("Via", "1.1 load-balancer"),
]
TRUSTED = replace(HOP, peer_trusted=True)

names = st.one_of(
    st.sampled_from(
        ["Connection", "X-User-Id", "x_user_id", "Via", "X-Forwarded-For", "Host", "TE", "Accept", "Cookie"]
    ),
    st.from_regex(r"[A-Za-z-]{1,12}", fullmatch=True),
)
some_fields = st.lists(st.tuples(names, st.text("abc, -=;", max_size=20)), max_size=12)


@pytest.mark.parametrize(
    "dropped",
    [
        [("Connection", "keep-alive, X-Trace"), ("X-Trace", "1"), ("Keep-Alive", "timeout=5")],
        [("Connection", "close"), ("connection", "x-a"), ("X-A", "1")],
        [("Connection", " X-A ,, close"), ("x-a", "1"), ("X-A", "2")],
        [("Transfer-Encoding", "chunked"), ("TE", "trailers"), ("Trailer", "X-Sum")],
        [("Upgrade", "h2c"), ("Proxy-Connection", "keep-alive"), ("Content-Length", "3")],
        [("Proxy", "http://evil"), ("Expect", "100-continue"), ("Host", "example.com")],
        [("X-User-Id", "7"), ("x-user-roles", "admin"), ("X_User_Id", "7"), ("X_USER-ROLES", "admin")],
        [("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https"), ("X-Real-IP", "198.51.100.7")],
        [("Forwarded", "for=198.51.100.7"), ("X-Request-Id", "forged"), ("X-Forwarded-Port", "443")],
        [("Connection", "x-forwarded-for, via, x-request-id")],  # does not take away what we add
    ],
)
def test_what_ends_here_or_was_forged_does_not_reach_an_upstream(dropped: Fields) -> None:
    kept = [("Accept", "*/*"), ("Cookie", "a=1"), ("Cookie", "b=2"), ("Authorization", "Bearer x")]

    assert request_fields([*dropped, *kept], HOP) == kept + ADDED


def test_what_a_trusted_proxy_wrote_is_carried_on() -> None:
    given_fields = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-For", "198.51.100.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "focushub.example"),
        ("Via", "1.1 nginx"),
    ]

    assert request_fields(given_fields, TRUSTED) == [
        ("X-Forwarded-For", "203.0.113.9, 198.51.100.7, 192.0.2.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "focushub.example"),
        ("X-Request-Id", "id-1234567"),
        ("Via", "1.1 nginx, 1.1 load-balancer"),
    ]


@given(fields=some_fields, trusted=st.booleans())
def test_no_field_that_ends_here_leaves_and_ours_are_there_once(fields: Fields, trusted: bool) -> None:
    hop = replace(HOP, peer_trusted=trusted)
    sent = request_fields(fields, hop)
    lowered = [name.lower() for name, _ in sent]
    named = {o.strip().lower() for n, v in fields if n.lower() == "connection" for o in v.split(",")}
    ours = {name.lower() for name, _ in ADDED}

    assert not HOP_BY_HOP & set(lowered)
    assert not (named - ours) & set(lowered)
    assert not any(name.replace("_", "-").startswith("x-user-") for name in lowered)
    assert [lowered.count(name) for name in ours] == [1] * len(ours)


@given(fields=some_fields)
def test_fields_that_are_nobodys_business_pass_in_order(fields: Fields) -> None:
    plain = [(f"Y-{name}", value) for name, value in fields]

    assert request_fields(plain, HOP)[: len(plain)] == plain
    assert response_fields(plain, "lb")[:-1] == plain


def test_an_answer_loses_what_is_about_the_connection_and_keeps_every_cookie() -> None:
    answer = [
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "5"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Via", "1.1 gateway-1"),
    ]

    assert response_fields(answer, "load-balancer") == [
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Via", "1.1 gateway-1, 1.1 load-balancer"),
    ]
