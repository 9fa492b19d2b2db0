"""What is remembered of field lines, and what is not."""

from __future__ import annotations

import tracemalloc

import pytest

from focushub_core.proxy.http1 import Names, ProtocolError, RequestReader
from focushub_core.proxy.rewrite import Side, request_block, request_names


def read(names: Names, line: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of a head with this line, besides ``Host``."""
    head = RequestReader(names).start(b"GET / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n")
    assert head is not None
    return head.fields.all[1:]


def test_a_line_that_comes_again_says_the_same() -> None:
    names = Names()
    for _ in range(2):
        assert read(names, b"X-A:\t b  ") == [(b"X-A", b"b")]
    assert b"X-A:\t b  " in names.lines


def test_lines_that_are_remembered_are_bounded_in_number_and_length() -> None:
    names = Names()
    for number in range(5000):
        for _ in range(2):
            read(names, b"X-N: %d" % number)
    for _ in range(2):
        read(names, b"X-Long: " + b"x" * 1000)
    assert len(names.lines) <= 2048
    assert max(map(len, names.lines)) <= 160


@pytest.mark.parametrize(
    "line", [b"Authorization: Bearer t", b"COOKIE: a=b", b"x-explain: s", b"X-Request-Id: 12345678"]
)
def test_what_is_secret_or_new_each_time_is_not_remembered(line: bytes) -> None:
    names = request_names()
    for _ in range(2):
        read(names, line)
    assert line not in names.lines


@pytest.mark.parametrize(
    ("line", "aside"),
    [
        (b"X-Request-Id: 0190a5c2f7e87b3c", b"0190a5c2f7e87b3c"),
        (b"x-request-id: 0190a5c2f7e87b3c", b""),  # not as we write it: it stays, and is known by its meaning
        (b"X-Request-Id: two words", b""),
        (b"X-Request-Id: ", b""),
        (b"X-Request-Id: a\x00b", None),
        (b"X-Request-Id: " + b"a" * 65, b""),
    ],
)
def test_what_is_another_one_in_each_request_is_set_aside(line: bytes, aside: bytes | None) -> None:
    names = request_names()
    for _ in range(2):  # the second time from memory
        reader = RequestReader(names)
        data = b"GET / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\nX-A: b\r\n\r\n"
        if aside is None:
            with pytest.raises(ProtocolError):
                reader.start(data)
            continue
        head = reader.start(data)
        assert head is not None
        assert head.aside == aside
        assert (b"x-request-id" in head.fields.meant) is not bool(aside)
        assert head.fields.all[-1] == (b"X-A", b"b")


def test_heads_that_come_again_are_remembered_for_all_connections_and_forgotten_together() -> None:
    names = request_names()
    once, twice, again = (
        RequestReader(names).start(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n) for n in (1, 2, 3)
    )
    assert once is not None
    assert twice is not None
    assert again is not None
    assert (twice.target, again.target) == (b"/2", b"/3")
    assert once.fields is not twice.fields  # most of what comes once does not come again
    assert twice.fields is again.fields
    names.forget()
    assert not names.heads


@pytest.mark.parametrize(
    ("fields", "length", "target"),
    [(1, 4, 1), (1, 130, 1), (10, 150, 8000), (20, 80, 1), (90, 4, 1), (90, 8, 8000)],
)
def test_ever_other_heads_fill_12_mb_at_most(fields: int, length: int, target: int) -> None:
    names, side = request_names(), Side(b"lb", b"192.0.2.1", False)
    start = b"GET /%b HTTP/1.1\r\nHost: a\r\n" % (b"t" * target)
    tracemalloc.start()
    for number in range(40_000 // (fields + 10)):
        lines = (b"X-%d-%d: %b\r\n" % (number, each, b"v" * length) for each in range(fields))
        data = start + b"".join(lines) + b"\r\n"
        for _ in range(2):  # what comes once only is not kept
            head = RequestReader(names).start(data)
            assert head is not None
            request_block(head, side, b"id")
    _, held = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 12 * 2**20
    assert names.heads


def test_a_long_name_of_a_field_is_not_remembered() -> None:
    names = Names()
    assert read(names, b"X" * 65 + b": a") == [(b"X" * 65, b"a")]
    assert b"X" * 65 not in names


def test_a_head_of_another_version_is_not_taken_for_a_known_one() -> None:
    names = request_names()
    new, old = (RequestReader(names).start(b"GET / HTTP/1.%d\r\nHost: a\r\n\r\n" % minor) for minor in (1, 0))
    assert new is not None
    assert old is not None
    assert (new.keeps, old.keeps, old.minor) == (True, False, 0)


def test_the_same_fields_in_another_version_on_one_connection_are_of_that_version() -> None:
    reader = RequestReader(request_names())
    heads = [reader.start(b"GET / HTTP/1.%d\r\nHost: a\r\n\r\n" % minor) for minor in (1, 0, 1)]
    assert [(head.minor, head.keeps) for head in heads if head] == [(1, True), (0, False), (1, True)]
