"""Rewriting in bytes is what the model says in text, over any fields at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from focushub_core.proxy.http1 import (
    RequestHead,
    RequestReader,
    ResponseHead,
    ResponseReader,
    request_head,
    response_head,
    to,
)
from focushub_core.proxy.rewrite import (
    Side,
    request_block,
    request_names,
    request_to,
    response_block,
    response_names,
    trailers,
    whole_answer,
)

from . import fields_model as headers
from .fields_model import Hop

TEXTS = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from(
                ["Connection", "X-User-Id", "x_user_id", "Via", "X-Forwarded-For", "TE", "Accept", "Cookie", "Proxy",
                 "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "Forwarded", "Keep-Alive", "Trailer"]
            ),
            st.from_regex(r"[A-Za-z-]{1,12}", fullmatch=True).filter(
                lambda name: name.lower() not in ("host", "expect", "upgrade", "date")
            ),
        ),
        st.text("abc,-=;", max_size=20),
    ),
    max_size=12,
)  # fmt: skip


def lines_of(block: bytes) -> list[tuple[str, str]]:
    pairs = (line.partition(": ") for line in block.decode().split("\r\n")[:-1])
    return [(name, value) for name, _, value in pairs]


def sorted_by_name(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Fields of different names have no order among themselves (RFC 9110 section 5.3)."""
    return sorted(fields, key=lambda field: field[0].lower())


@given(fields=TEXTS, trusted=st.booleans())
def test_a_requests_fields_become_what_the_rules_in_text_say(
    fields: list[tuple[str, str]], trusted: bool
) -> None:
    reader = RequestReader(request_names())
    given_lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    reader.receive(f"GET / HTTP/1.1\r\nHost: example.com\r\n{given_lines}\r\n".encode())
    head = reader.next()
    assert isinstance(head, RequestHead)
    hop = Hop("lb", "192.0.2.1", trusted, "http", "example.com", "id-1234567")
    for _ in range(2):  # the second time from memory
        block = request_block(head, Side(b"lb", b"192.0.2.1", trusted), b"id-1234567")
        assert sorted_by_name(lines_of(block)) == sorted_by_name(headers.request_fields(fields, hop))


@given(fields=TEXTS)
def test_an_answers_fields_become_what_the_rules_in_text_say(fields: list[tuple[str, str]]) -> None:
    reader = ResponseReader(response_names())
    given_lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    reader.receive(f"HTTP/1.1 200 OK\r\n{given_lines}\r\n".encode())
    head = reader.next()
    assert isinstance(head, ResponseHead)
    expected = [
        (name, value)
        for name, value in headers.response_fields(fields, "lb")
        if name.lower() != "x-request-id"
    ]
    expected += [("Date", "now"), ("X-Request-Id", "id-1234567")]
    for _ in range(2):
        block = response_block(head, b"lb", b"id-1234567", lambda: b"now")
        assert sorted_by_name(lines_of(block)) == sorted_by_name(expected)


def test_what_was_remembered_of_fields_is_not_taken_for_another_side_or_another_second() -> None:
    reader = RequestReader(request_names())
    reader.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head = reader.next()
    assert isinstance(head, RequestHead)
    for peer in (b"192.0.2.1", b"192.0.2.2"):
        assert b"For: " + peer in request_block(head, Side(b"lb", peer, False), b"id")
    answers = ResponseReader(response_names())
    answers.receive(b"HTTP/1.1 204 No Content\r\n\r\n")
    answer = answers.next()
    assert isinstance(answer, ResponseHead)
    for now in (b"one", b"two"):
        assert b"Date: " + now in response_block(answer, b"lb", b"id", lambda now=now: now)  # type: ignore[misc]


@given(fields=TEXTS)
def test_a_head_that_is_written_in_one_piece_is_what_its_parts_are(fields: list[tuple[str, str]]) -> None:
    requests, answers = RequestReader(request_names()), ResponseReader(response_names())
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    side = Side(b"lb", b"192.0.2.1", False)
    for _ in range(2):  # the second time from memory
        asked = requests.start(b"GET / HTTP/1.1\r\nHost: example.com\r\n%b\r\n" % lines)
        assert asked is not None
        block = request_block(asked, side, b"id", b"X: 1\r\n")
        written = request_to(asked, side, b"id", to(b"b:1"), b"X: 1\r\n")
        assert written == request_head(b"GET", b"/", b"b:1", block, None)
        answered = answers.whole(b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\n{}" % lines)
        assert answered is not None
        answer, body = answered
        block = response_block(answer, b"lb", b"id", lambda: b"now", b"X: 1\r\n")
        written = whole_answer(answer, b"lb", b"id", lambda: b"now", b"X: 1\r\n", body)
        by_parts = response_head(200, b"OK", block, 2) + body
        assert sorted(written.split(b"\r\n")) == sorted(by_parts.split(b"\r\n"))


def test_the_same_fields_with_one_byte_changed_are_read_anew() -> None:
    reader = RequestReader(request_names())
    seen = []
    for value in (b"1", b"1", b"2", b"1"):
        head = reader.start(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + value + b"\r\n\r\n")
        assert head is not None
        seen.append(head.whole().fields.all[1][1])

    assert seen == [b"1", b"1", b"2", b"1"]


def test_no_trailer_says_who_somebody_is() -> None:
    given_trailers = [
        (b"X-User-Id", b"7"),
        (b"X-Forwarded-For", b"1"),
        (b"x_user_id", b"7"),
        (b"X-Sum", b"1"),
    ]
    assert trailers(given_trailers, request_names()) == [(b"X-Sum", b"1")]
