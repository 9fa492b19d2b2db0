"""What is read, and that it does not matter in which pieces it comes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.proxy.http1 import (
    CHUNKED,
    END,
    UNTIL_CLOSE,
    End,
    RequestHead,
    RequestReader,
    ResponseHead,
    ResponseReader,
    Truncated,
)

from .reading import ours
from .test_refused import REFUSED

SEVERAL = (
    b"GET /a?b=%2F HTTP/1.1\r\nHost: a:80\r\nX:  1 \t\r\nEmpty:\r\n\r\n"
    b"POST /b HTTP/1.1\r\nhost: [::1]:80\r\ncontent-length: 5\r\n\r\nhello"
    b"PUT http://a/c HTTP/1.1\r\nHost: A\r\nTransfer-Encoding: Chunked\r\n\r\n"
    b'3;a="b;c"\r\nabc\r\n00A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n'
    b"DELETE / HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
)
ANSWERS = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    b"HTTP/1.1 204\r\n\r\n"
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n"
    b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    b"HTTP/1.0 404 Not There\r\n\r\nrest"
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def request(data: bytes) -> RequestHead:
    reader = RequestReader()
    reader.receive(data)
    head = reader.next()
    assert isinstance(head, RequestHead)
    return head


def test_several_requests_are_read_one_after_another() -> None:
    messages, error = ours(RequestReader(), [SEVERAL])

    assert error is None
    assert [(m.start, m.body, m.trailers, m.whole) for m in messages] == [
        ((b"GET", b"/a?b=%2F"), b"", [], True),
        ((b"POST", b"/b"), b"hello", [], True),
        ((b"PUT", b"/c"), b"abc0123456789", [(b"x-sum", b"1")], True),
        ((b"DELETE", b"/"), b"", [], True),
    ]
    assert messages[0].fields == [(b"host", b"a:80"), (b"x", b"1"), (b"empty", b"")]


@given(places=st.lists(st.integers(0, len(SEVERAL)), max_size=40))
def test_requests_are_the_same_in_whatever_pieces_they_come(places: list[int]) -> None:
    assert ours(RequestReader(), cut(SEVERAL, places)) == ours(RequestReader(), [SEVERAL])


@given(places=st.lists(st.integers(0, len(ANSWERS)), max_size=40))
def test_answers_are_the_same_in_whatever_pieces_they_come(places: list[int]) -> None:
    assert ours(ResponseReader(), cut(ANSWERS, places)) == ours(ResponseReader(), [ANSWERS])


@given(
    name=st.sampled_from([name for name, (_, data) in REFUSED.items() if len(data) < 500]),
    places=st.lists(st.integers(0, 500), max_size=20),
)
def test_what_is_refused_is_refused_in_whatever_pieces_it_comes(name: str, places: list[int]) -> None:
    _, data = REFUSED[name]
    assert ours(RequestReader(), cut(data, places))[1] == ours(RequestReader(), [data])[1] is not None


def test_an_answers_body_ends_as_its_head_says() -> None:
    messages, error = ours(ResponseReader(), [ANSWERS])

    assert error is None
    assert [(m.start[0], m.body, m.whole) for m in messages] == [
        (b"103", b"", False),
        (b"200", b"ok", True),
        (b"204", b"", True),
        (b"304", b"", True),
        (b"200", b"a", True),
        (b"404", b"rest", False),
    ]


@pytest.mark.parametrize(
    ("fields", "framing"),
    [(b"", None), (b"Content-Length: 0\r\n", 0), (b"Content-Length: 007\r\n", 7),
     (b"Transfer-Encoding: chunked\r\n", CHUNKED)],
)  # fmt: skip
def test_the_framing_of_a_request(fields: bytes, framing: int | None) -> None:
    assert request(b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n").framing == framing


@pytest.mark.parametrize(
    ("method", "head", "framing", "length"),
    [
        (b"GET", b"HTTP/1.1 200 OK\r\n\r\n", UNTIL_CLOSE, None),
        (b"HEAD", b"HTTP/1.1 200 OK\r\n\r\n", None, None),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", None, 9),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None, None),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", None, 9),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", None, None),
        (b"GET", b"HTTP/1.1 100 Continue\r\n\r\n", None, None),
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 9, 9),
    ],
)
def test_the_framing_of_an_answer(
    method: bytes, head: bytes, framing: int | None, length: int | None
) -> None:
    reader = ResponseReader()
    reader.expect(method)
    reader.receive(head)
    read = reader.next()
    assert isinstance(read, ResponseHead)
    assert (read.framing, read.length) == (framing, length)


@pytest.mark.parametrize(
    ("line", "keeps"),
    [
        (b"HTTP/1.1\r\nHost: a", True),
        (b"HTTP/1.1\r\nHost: a\r\nConnection: Close", False),
        (b"HTTP/1.1\r\nHost: a\r\nConnection: x, close", False),
        (b"HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close", False),
        (b"HTTP/1.0\r\nHost: a\r\nConnection: keep-alive", False),
    ],
)
def test_when_a_client_may_go_on(line: bytes, keeps: bool) -> None:
    assert request(b"GET / " + line + b"\r\n\r\n").keeps is keeps


def test_what_connection_names_is_told_in_lower_case() -> None:
    head = request(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-A , ,keep-alive\r\nconnection: x-b\r\n\r\n")

    assert head.options == {b"x-a", b"keep-alive", b"x-b"}


def test_an_expectation_counts_in_1_1_only() -> None:
    for minor, expects in ((b"1", True), (b"0", False)):
        head = request(b"POST / HTTP/1." + minor + b"\r\nHost: a\r\nExpect: 100-Continue\r\n\r\n")
        assert head.expects is expects


@pytest.mark.parametrize(
    "start",
    [b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab"],
)
def test_an_input_that_ends_within_a_request_is_truncated(start: bytes) -> None:
    reader = RequestReader()
    reader.receive(start)
    while reader.next() is not None:
        pass
    with pytest.raises(Truncated):
        reader.eof()


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
    ],
)
def test_an_input_that_ends_within_an_answer_is_truncated(start: bytes) -> None:
    reader = ResponseReader()
    reader.receive(start)
    while reader.next() is not None:
        pass
    with pytest.raises(Truncated):
        reader.eof()


def test_an_answer_until_the_end_of_its_connection_ends_with_it() -> None:
    reader = ResponseReader()
    reader.receive(b"HTTP/1.1 200 OK\r\n\r\nall")
    reader.next()
    assert reader.next() == b"all"
    assert reader.eof() == END == End()


def test_between_messages_a_reader_says_so() -> None:
    reader = RequestReader()
    assert reader.between
    reader.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nG")
    reader.next()
    assert not reader.between
    assert reader.next() == END
    assert not reader.between
    assert reader.rest == b"G"
