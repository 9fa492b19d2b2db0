"""What the writer writes, our readers, h11 and httptools read alike: as what it was."""

from __future__ import annotations

import h11
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.proxy.http1 import (
    CHUNKED,
    RequestReader,
    ResponseReader,
    chunk,
    last_chunk,
    lines,
    request_head,
    response_head,
)

from .reading import Fields, by_h11, by_httptools, lowered, ours

TOKENS = st.text("!#$%&'*+-.^_`|~019azAZ", min_size=1, max_size=12).map(str.encode)
VALUES = st.from_regex(rb"(?:[!-~\x80-\xff](?:[ \t!-~\x80-\xff]{0,20}[!-~\x80-\xff])?)?", fullmatch=True)
FIELDS = st.lists(st.tuples(TOKENS.map(lambda name: b"x-" + name), VALUES), max_size=8)
TARGETS = st.from_regex(rb"/[!-\"$-~]{0,30}", fullmatch=True)
METHODS = st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"HEAD", b"QUERY"])
BODIES = st.lists(st.binary(min_size=1, max_size=40), max_size=4)


def framed(pieces: list[bytes], chunked: bool, trailers: Fields) -> bytes:
    return b"".join(map(chunk, pieces)) + last_chunk(trailers) if chunked else b"".join(pieces)


@given(st.tuples(METHODS, TARGETS), FIELDS, BODIES, st.booleans(), FIELDS)
def test_a_request_is_read_as_it_was_written(
    start: tuple[bytes, bytes], fields: Fields, pieces: list[bytes], chunked: bool, trailers: Fields
) -> None:
    body = b"".join(pieces)
    head = request_head(*start, b"a:1", lines(fields), CHUNKED if chunked else len(body))
    data = head + framed(pieces, chunked, trailers)
    (message,), error = ours(RequestReader(), [data])
    (by_one,), refused_by_one = by_h11(data)
    (by_two,), refused_by_two = by_httptools(data)

    assert (error, refused_by_one, refused_by_two) == (None, False, False)
    assert message.start == by_one.start == by_two.start == start
    assert message.fields == by_one.fields == by_two.fields
    assert message.fields[1 : 1 + len(fields)] == lowered(fields)
    assert message.body == by_one.body == by_two.body == body
    assert message.trailers == by_one.trailers == by_two.trailers == (lowered(trailers) if chunked else [])
    assert message.whole
    assert by_one.whole
    assert by_two.whole


@given(st.tuples(st.sampled_from([200, 207, 404, 503]), VALUES), FIELDS, BODIES, st.booleans(), FIELDS)
def test_an_answer_is_read_as_it_was_written(
    start: tuple[int, bytes], fields: Fields, pieces: list[bytes], chunked: bool, trailers: Fields
) -> None:
    body = b"".join(pieces)
    head = response_head(*start, lines(fields), CHUNKED if chunked else len(body))
    data = head + framed(pieces, chunked, trailers)
    (message,), error = ours(ResponseReader(), [data])
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    answer, received = client.next_event(), b""
    while isinstance(event := client.next_event(), h11.Data):
        received += bytes(event.data)

    assert error is None
    assert isinstance(answer, h11.Response)
    assert isinstance(event, h11.EndOfMessage)
    assert message.start == (b"%d" % start[0], start[1]) == (b"%d" % answer.status_code, answer.reason)
    assert message.fields == lowered(answer.headers)
    assert message.body == received == body
    assert message.trailers == lowered(event.headers)


def test_a_message_without_a_body_says_nothing_of_one() -> None:
    assert request_head(b"GET", b"/", b"a", b"", None) == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert response_head(204, b"No Content", b"", None) == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert lines([]) == b""
