"""A connection's next head, known by its last one, says what a reader without memory reads in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focushub_core.proxy.http1 import (
    HeadTooLarge,
    Limits,
    Names,
    ProtocolError,
    RequestHead,
    RequestReader,
    ResponseHead,
    ResponseReader,
)
from focushub_core.proxy.http1.memory import Memory
from focushub_core.proxy.replay import replayable
from focushub_core.proxy.rewrite import (
    Side,
    request_block,
    request_names,
    request_to,
    response_names,
    whole_answer,
)

NAMES = (
    b"ETag", b"etag", b"RateLimit", b"X-A", b"x-a", b"X-User-Id", b"X_User_Id", b"X-Request-Id", b"Date", b"Via",
    b"Connection", b"Content-Length", b"Set-Cookie", b"X-Forwarded-For", b"Authorization",
    b"Idempotency-Key", b"Transfer-Encoding",
)  # fmt: skip
VALUES = (
    b"1", b"2", b"17", b'"user";r=59;t=3', b"a b", b" a", b"a ", b"\ta", b"", b"close", b"keep-alive, x-a", b"ETAG",
    b"a\x00", b"a\rb", b"a\nb", b"\xffa", b"a\r\nX-B: c", b"a\r\n\r\nGET / HTTP/1.1", b"0190a5c2f7e87b3c", b"a:b",
)  # fmt: skip
PLAIN = (b"1", b"22", b'"user";r=59;t=3', b"a  b")
SIDE = Side(b"lb", b"192.0.2.1", False)

Lines = list[tuple[bytes, bytes]]


def by_name(field: tuple[bytes, bytes]) -> bytes:
    return field[0].lower()


def seen(head: RequestHead | ResponseHead) -> tuple[object, ...]:
    """All that it says, and what is written of it; the order of lines with other names aside."""
    if isinstance(head, RequestHead):
        block = request_block(head, SIDE, b"id")
        own = (head.method, head.target, head.host, head.framing, head.expects, head.aside, head.minor)
        assert head.words in (None, head.in_words())
        whole = head.whole()
        assert sorted(request_block(whole, SIDE, b"id").splitlines()) == sorted(block.splitlines())
        fields, meaning = (sorted(each, key=by_name) for each in (whole.fields.all, whole.fields.known))
        return own, head.options, head.keeps, meaning, head.fields.meant, whole.fields.meant, fields
    written = whole_answer(head, b"lb", b"id", lambda: b"now", b"", b"")
    lines = sorted(written.splitlines(), key=lambda line: line.partition(b":")[0].lower())
    others = [field for field in head.fields.known if field[0] != b"content-length"]  # which `said` tells
    return head.status, head.said, head.length, head.framing, head.options, head.keeps, others, lines


def read(reader: RequestReader | ResponseReader, data: bytes) -> object:
    """What the reader says of ``data``; of a refusal, that it is one."""
    try:
        if isinstance(reader, RequestReader):
            head = reader.start(data)
            return None if head is None else (seen(head), reader.rest)
        whole = reader.whole(data)
        if whole is not None:
            return seen(whole[0]), whole[1]
        reader.receive(data)
        answer = reader.next()
        return seen(answer) if isinstance(answer, ResponseHead) else answer
    except ProtocolError as error:
        return type(error), str(error)


Kind = type[RequestReader] | type[ResponseReader]


def known(first: bytes, heads: Sequence[Lines], names: Callable[[], Names], kind: Kind) -> int:
    """Asserts that heads are read alike with memory and without; how many were known by their gaps."""
    shared, by_gaps = names(), 0
    memory = kind(shared)._memory
    for lines in heads:
        data = first + b"".join(b"%b: %b\r\n" % line for line in lines) + b"\r\n"
        reader = kind(shared)
        reader._memory = memory  # type: ignore[assignment]
        assert read(reader, data) == read(kind(names()), data), data
        by_gaps += memory.gaps is not None
    return by_gaps


@st.composite
def in_a_row(draw: st.DrawFn) -> list[Lines]:
    """Heads with mostly the same lines, of which some change."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=7, unique=draw(st.booleans())))
    lines = [(name, draw(st.sampled_from(PLAIN))) for name in names]
    changing = draw(st.lists(st.integers(0, len(names) - 1), max_size=3))
    heads = []
    for _ in range(6):
        for number in changing:
            lines[number] = (names[number], draw(st.sampled_from(PLAIN)))
        heads.append(list(lines))
    at, number = draw(st.integers(0, 5)), draw(st.integers(0, len(names) - 1))
    heads[at][number] = (names[number], draw(st.sampled_from(VALUES)))
    return heads


@settings(max_examples=300, deadline=None)
@given(in_a_row())
def test_requests_in_a_row_are_read_as_each_alone(heads: list[Lines]) -> None:
    known(b"GET /a HTTP/1.1\r\nHost: a\r\n", heads, request_names, RequestReader)


FIRST = (
    b"GET /a HTTP/1.1", b"GET /a HTTP/1.0", b"HEAD /a HTTP/1.1", b"GET /a?b=1 HTTP/1.1", b"GET /b HTTP/1.1",
    b"GET http://a/b HTTP/1.1", b"GET  /a HTTP/1.1", b"", b"\r\nGET /a HTTP/1.1", b"GET /" + b"c" * 300 + b" HTTP/1.1",
)  # fmt: skip
BLOCKS = (
    b"Host: a", b"Host: a\r\nX-A: b", b"X-A: b\r\nHost: a", b"Host: b",
    *(b"Host: a\r\nX-B: c\r\nContent-Length: %d" % length for length in (0, 0, 3, 39)),
)  # fmt: skip
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: elsewhere\r\n"
IDS = (
    b"",
    b"\r\nX-Request-Id: 1",
    b"\r\nX-Request-Id: 0190a5c2",
    b"\r\nX-Request-Id: a b",
    b"\r\nX-Request-Id: ",
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(*map(st.sampled_from, (FIRST, BLOCKS, IDS)), st.integers(0, 2)), min_size=2, max_size=30
    )
)
def test_requests_whose_fields_came_before_are_read_as_each_alone(
    asked: list[tuple[bytes, bytes, bytes, int]],
) -> None:
    """On whichever of three connections they come, with whichever first line."""
    shared, memories = request_names(), [Memory[RequestHead]() for _ in range(3)]
    for first, block, given_id, connection in asked:
        data = first + b"\r\n" + block + given_id + b"\r\n\r\n" + HIDDEN
        reader = RequestReader(shared)
        reader._memory = memories[connection]
        assert read(reader, data) == read(RequestReader(request_names()), data), data


def test_a_length_is_given_as_it_came() -> None:
    data = [
        b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nContent-Length: %b\r\n\r\n" % value
        for value in (b"3", b"12", b"7", b"011")
    ]
    reader, found = RequestReader(request_names()), []
    for text in data:
        head = reader.start(text)
        assert head is not None
        found.append([value for name, value in head.whole().fields.all if name == b"Content-Length"])
        reader.rest, reader._step = b"", RequestReader._head

    assert found == [[b"3"], [b"12"], [b"7"], [b"011"]]


@pytest.mark.parametrize("lengths", [(3, 0, 39), (0, 3, 0, 39), (39, 0, 0, 39)])
def test_a_body_is_no_request_where_only_the_length_differs_from_a_request_without_one(
    lengths: tuple[int, ...],
) -> None:
    reader = RequestReader(request_names())
    for length in lengths:
        body = HIDDEN[:length]
        head = reader.start(
            b"POST /a HTTP/1.1\r\nHost: a\r\nX-B: c\r\nContent-Length: %d\r\n\r\n" % length + body
        )
        assert head is not None
        assert (head.framing, reader.rest) == (length, body)
        if length:
            assert reader.body_at_hand() == body


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK", b"HTTP/1.1 204 ", b"HTTP/1.0 304 Not Modified"])
@settings(max_examples=200, deadline=None)
@given(heads=in_a_row())
def test_answers_in_a_row_are_read_as_each_alone(first: bytes, heads: list[Lines]) -> None:
    known(first + b"\r\n", heads, response_names, ResponseReader)


@pytest.mark.parametrize("changing", [(1,), (0, 2), (0, 1, 2, 4)])
def test_up_to_four_lines_may_change(changing: tuple[int, ...]) -> None:
    random = Random(1)
    names = (b"ETag", b"RateLimit", b"X-Runtime", b"Content-Type", b"Age")
    heads = [
        [(name, b"%d" % random.randrange(99) if at in changing else b"x") for at, name in enumerate(names)]
        for _ in range(20)
    ]
    assert known(b"HTTP/1.1 304 Not Modified\r\n", heads, response_names, ResponseReader) >= 15
    assert known(b"GET / HTTP/1.1\r\nHost: a\r\n", heads, request_names, RequestReader) >= 15


@pytest.mark.parametrize(
    ("before", "line", "behind"),
    [
        (b"", b"Connection", b""),
        (b"", b"X-User-Id", b""),
        (b"", b"Via", b""),
        (b"Connection: x-a\r\n", b"X-A", b""),
        (b"", b"X-A", b"x-a: 3\r\n"),
    ],
)
def test_a_line_that_means_something_or_has_its_place_is_no_gap(
    before: bytes, line: bytes, behind: bytes
) -> None:
    reader = ResponseReader(Names(lambda lower: lower if lower in (b"via", b"x-user-id") else b"", gaps=()))
    for value in (b"1", b"2", b"1"):
        reader.expect(b"GET")
        reader.receive(b"HTTP/1.1 304 Not Modified\r\n%b%b: %b\r\n%b\r\n" % (before, line, value, behind))
        head = reader.next()
        assert isinstance(head, ResponseHead)
        assert (line, value) in head.fields.all
        reader.next()


def test_what_is_behind_a_head_is_no_part_of_it() -> None:
    reader = RequestReader(request_names())
    for value in (b"1", b"2"):
        reader.start(b"GET / HTTP/1.1\r\nX-A: %b\r\nHost: a\r\n\r\n" % value)
    head = reader.start(b"GET / HTTP/1.1\r\nX-A: 3\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\n")
    assert head is not None
    assert head.more == b"X-A: 3\r\n"
    assert reader.rest == b"GET /b HTTP/1.1\r\n"


ID, OTHER = b"X-Request-Id: 0190a5c2f7e87b3c\r\n", b"X-Request-Id: 0190a5c2f7e87b3d\r\n"
LINE, HOST = b"GET / HTTP/1.1\r\n", b"Host: a\r\n"


@pytest.mark.parametrize(
    "first", [LINE + HOST + b"\r\n", LINE + HOST + ID + b"\r\n", LINE + ID + ID + HOST + b"\r\n"]
)
@pytest.mark.parametrize(
    "second",
    [
        LINE + HOST + b"\r\n",
        LINE + HOST + OTHER + b"\r\n",
        LINE + OTHER + HOST + b"\r\n",
        LINE + OTHER + ID + HOST + b"\r\n",
        LINE + HOST + b"\r\n" + OTHER,
        LINE + HOST + b"\r\n" + OTHER + b"\r\n",
        LINE + HOST + OTHER[:-2],
        LINE + HOST + b"\r" + OTHER[:-2] + b"\n",
        LINE + HOST + OTHER[:-2] + b"\n",
        LINE + HOST + OTHER,
        b"\r\n" + OTHER + LINE + HOST + b"\r\n",
        LINE[:-2] + b"\r\n\r\n" + OTHER + HOST + b"\r\n",
    ],
)
def test_only_a_whole_line_of_a_whole_head_is_set_aside(first: bytes, second: bytes) -> None:
    with_memory, alone = RequestReader(request_names()), RequestReader(request_names())
    assert with_memory.start(first) is not None
    assert read(with_memory, second) == read(alone, second)


def answer(memory: Memory[ResponseHead], length: bytes) -> ResponseHead:
    """What is read with this ``Content-Length`` by a connection with this memory."""
    reader = ResponseReader(response_names())
    reader._memory = memory
    reader.receive(b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: %b\r\n\r\n" % length)
    head = reader.next()
    assert isinstance(head, ResponseHead)
    return head


def test_answers_of_other_lengths_are_known_by_all_else() -> None:
    memory: Memory[ResponseHead] = Memory()
    for length in (b"1", b"22", b"3", b"04", b"1" * 15):
        head = answer(memory, length)
        assert head.length == head.framing == head.said == int(length)
    assert memory.gaps is not None


@pytest.mark.parametrize("length", [b"", b"x", b"1 ", b"+1", b"1, 1", b"-1", b"1" * 16])
def test_what_is_no_length_is_refused_from_memory_too(length: bytes) -> None:
    memory: Memory[ResponseHead] = Memory()
    for each in (b"1", b"2", b"3"):
        answer(memory, each)
    assert memory.gaps is not None
    with pytest.raises(ProtocolError):
        answer(memory, length)


def test_who_never_sends_two_heads_that_are_alike_is_seldom_looked_at_for_gaps() -> None:
    memory: Memory[ResponseHead] = Memory()
    tried = 0
    for number in range(1000):
        memory.text = b"a: %d" % (number - 1)
        tried += bool(memory.differing(b"a: %d" % number))
    assert 8 < tried < 40


def test_a_body_of_another_length_with_another_key_is_known_by_all_else() -> None:
    names, memory = request_names(), Memory[RequestHead]()
    for length, key in ((3, b"a-1"), (14, b"a-2"), (5, b"a-3"), (0, b"a-4")):
        reader = RequestReader(names)
        reader._memory = memory
        lines = b"Idempotency-Key: %b\r\nContent-Length: %d\r\n" % (key, length)
        head = reader.start(b"POST /v1/tasks HTTP/1.1\r\nHost: a\r\n%b\r\n%b" % (lines, b"x" * length))
        assert head is not None
        assert (head.framing, reader.rest) == (length, b"x" * length)
        assert replayable(head, ("/v1/tasks",))
        assert b"Idempotency-Key: %b\r\n" % key in request_to(head, SIDE, b"id", b"", b"")
        whole = head.whole()
        assert whole.fields.first(b"idempotency-key") == key.decode()
        assert whole.fields.first(b"content-length") == str(length)
    assert memory.gaps is not None


def test_a_known_head_that_is_too_large_with_what_is_set_aside_is_refused() -> None:
    reader, lines = RequestReader(request_names(), Limits(head=100)), b"X-A: " + b"a" * 20 + b"\r\n"
    assert reader.start(LINE + HOST + lines + ID + b"\r\n") is not None
    too_large = LINE + HOST + lines + ID.replace(b"3c", b"3c" * 10) + b"\r\n"
    assert len(too_large) > 100
    assert reader.start(too_large) is None
    reader.receive(too_large)
    with pytest.raises(HeadTooLarge):
        reader.next()
