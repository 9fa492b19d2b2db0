"""Against h11 and httptools: nothing is forwarded that they refuse, or that they read as something else.

The short form is seeded; the long one, a million requests, is run by ``tox -e long``. Others are read as a
proxy reads them that remembers all the requests before, and twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focushub_core.proxy.http1 import (
    CHUNKED,
    END,
    End,
    Event,
    Names,
    ProtocolError,
    RequestHead,
    RequestReader,
    chunk,
    last_chunk,
    lines,
    request_head,
)
from focushub_core.proxy.http1.memory import Memory
from focushub_core.proxy.rewrite import request_names

from .mutations import GOOD, mutated
from .reading import Message, by_h11, by_httptools, lowered

LLHTTP_METHODS = frozenset(
    b"DELETE GET HEAD POST PUT OPTIONS COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND UNBIND ACL "
    b"REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK UNLINK SOURCE "
    b"QUERY".split()
)
"""Others it refuses, whatever the rest is."""
FRAMING = (b"host", b"content-length", b"transfer-encoding")


COUNT = int(os.environ.get("FOCUSHUB_FUZZ", "1000000"))
"""Requests of the long forms."""
ASIDE = b"x-request-id"


def accepted(events: Iterator[Event]) -> list[tuple[RequestHead, Message]]:
    """The whole requests that we would forward, up to the one after which the connection closes."""
    found: list[tuple[RequestHead, Message]] = []
    try:
        for event in events:
            if isinstance(event, RequestHead):
                head = event.whole()
                fields = [(ASIDE, head.aside)] if head.aside else []
                fields += lowered(head.fields.all)
                message = Message((head.method, head.target), _by_name(fields))
            elif isinstance(event, bytes):
                message.body += event
            elif isinstance(event, End):
                message.trailers, message.whole = lowered(event.trailers), True
                found.append((head, message))
                if not head.keeps:
                    break
    except ProtocolError:
        pass
    return found


def one_by_one(data: bytes) -> Iterator[Event]:
    """As it is read without memory."""
    reader = RequestReader()
    reader.receive(data)
    while (event := reader.next()) is not None:
        yield event


def the_short_way(data: bytes, names: Names, memory: Memory[RequestHead]) -> Iterator[Event]:
    """As a client's connection reads it, knowing what ``names`` remember, and its own ``memory``."""
    reader = RequestReader(names)
    reader._memory = memory
    if (head := reader.start(data)) is None:
        reader.receive(data)
    else:
        yield head
        if not head.framing:
            yield END
    while (event := reader.next()) is not None:
        yield event


def written(head: RequestHead, message: Message) -> bytes:
    """The request as it leaves us."""
    fields = [(name, value) for name, value in head.fields.all if name.lower() not in FRAMING]
    start = request_head(head.method, head.target, head.host, lines(fields), head.framing)
    if head.framing != CHUNKED:
        return start + message.body
    return start + (chunk(message.body) if message.body else b"") + last_chunk(message.trailers)


def compare(data: bytes) -> int:
    """Asserts that all three read ``data`` alike as far as we would forward it; how many requests that are."""
    return _compare(data, accepted(one_by_one(data)))


def compare_remembered(data: bytes, names: Names, memory: Memory[RequestHead]) -> int:
    """The same, for what a proxy reads that remembers heads and lines and sets ids aside: twice alike, too."""
    found, again = (accepted(the_short_way(data, names, memory)) for _ in range(2))
    assert [_told(*each) for each in again] == [_told(*each) for each in found], data
    return _compare(data, found)


def _told(head: RequestHead, message: Message) -> tuple[object, ...]:
    flags = (head.minor, head.framing, head.expects, head.upgrade, head.options, head.keeps, head.aside)
    plain = sorted(head.fields.plain, key=lambda line: line.partition(b":")[0].lower())
    return head.host, flags, plain, _by_name(head.fields.known), head.fields.meant, message


def _compare(data: bytes, found: list[tuple[RequestHead, Message]]) -> int:
    for name, (theirs, _) in (("h11", by_h11(data)), ("httptools", by_httptools(data))):
        for number, (head, ours) in enumerate(found):
            if name == "httptools" and (head.method not in LLHTTP_METHODS or head.upgrade is not None):
                break
            assert number < len(theirs), f"{name} refuses what we take: {data!r}"
            same = theirs[number]
            assert same.whole, f"{name} refuses what we take: {data!r}"
            if same.start[1].startswith(b"/"):  # else it was in absolute-form
                assert same.start[1] == ours.start[1], f"{name}: another target in {data!r}"
            assert (same.start[0], same.body) == (ours.start[0], ours.body), data
            assert _by_name(same.fields) == ours.fields, data
            if name == "h11":  # the other one mixes trailers up with fields
                assert same.trailers == ours.trailers, data
    _compare_written(found)
    return len(found)


def _by_name(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What is read may be given in another order, but for lines of the same name (RFC 9110 section 5.3).

    Of several ids the one that is set aside comes first; none of them goes on.
    """
    return sorted(fields, key=lambda field: field if field[0] == ASIDE else (field[0], b""))


def _compare_written(found: list[tuple[RequestHead, Message]]) -> None:
    for head, message in found:
        data = written(head, message)
        by_one, refused = by_h11(data)
        assert (len(by_one), refused) == (1, False), data
        assert (by_one[0].start, by_one[0].body) == (message.start, message.body), data
        if head.method in LLHTTP_METHODS and head.upgrade is None:
            by_two, refused = by_httptools(data)
            assert (len(by_two), refused) == (1, False), data
            assert (by_two[0].start, by_two[0].body) == (message.start, message.body), data


def test_good_requests_are_taken_by_all() -> None:
    assert compare(b"".join(GOOD)) == len(GOOD)


@settings(derandomize=True, max_examples=2000, deadline=None)
@given(st.integers(0, 2**32))
def test_no_mutated_request_is_read_in_two_ways(seed: int) -> None:
    compare(mutated(Random(seed)))


def test_no_mutated_request_is_read_in_two_ways_by_one_who_remembers() -> None:
    names, memory = request_names(), Memory[RequestHead]()
    taken = sum(compare_remembered(mutated(Random(seed)), names, memory) for seed in range(4000))

    assert taken > 400
    assert names.heads
    assert names.lines


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_mutated_request_of_a_million_is_read_in_two_ways() -> None:
    taken = sum(compare(mutated(Random(seed))) for seed in range(COUNT))

    assert taken > COUNT // 10  # else nothing was compared


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nor_is_one_of_a_million_by_one_who_remembers() -> None:
    names, memory, taken = request_names(), Memory[RequestHead](), 0
    for seed in range(COUNT):
        taken += compare_remembered(mutated(Random(seed)), names, memory)
        if seed % 10_000 == 0:
            names.forget()

    assert taken > COUNT // 10
