"""What is remembered of field lines, and what is not."""

from __future__ import annotations

import pytest

from focushub_core.proxy.http1 import Names, RequestReader
from focushub_core.proxy.rewrite import request_names


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
        read(names, b"X-N: %d" % number)
    read(names, b"X-Long: " + b"x" * 1000)
    assert len(names.lines) <= 2048
    assert max(map(len, names.lines)) <= 160


@pytest.mark.parametrize(
    "line", [b"Authorization: Bearer t", b"COOKIE: a=b", b"x-explain: s", b"X-Request-Id: 12345678"]
)
def test_what_is_secret_or_new_each_time_is_not_remembered(line: bytes) -> None:
    names = request_names()
    read(names, line)
    assert line not in names.lines
