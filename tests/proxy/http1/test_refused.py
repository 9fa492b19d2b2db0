"""What is refused, always: one line a case, read whole and byte by byte."""

from __future__ import annotations

import pytest

from focushub_core.proxy.http1 import Limits, ProtocolError, RequestReader, ResponseReader

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\n"


def with_field(line: bytes) -> bytes:
    return POST + line + b"\r\n\r\n"


LENGTHS = {
    "length and coding": b"Content-Length: 3\r\nTransfer-Encoding: chunked",
    "coding and length": b"Transfer-Encoding: chunked\r\nContent-Length: 3",
    "differing lengths": b"Content-Length: 3\r\nContent-Length: 4",
    "repeated lengths": b"Content-Length: 3\r\nContent-Length: 3",
    "a list of lengths": b"Content-Length: 3, 3",
    "a length with plus": b"Content-Length: +3",
    "a length with minus": b"Content-Length: -3",
    "an empty length": b"Content-Length:",
    "a blank length": b"Content-Length:  ",
    "a hexadecimal length": b"Content-Length: 0x3",
    "a length with an underscore": b"Content-Length: 1_0",
    "a length with a space": b"Content-Length: 1 0",
    "a length in Arabic digits": "Content-Length: ٣".encode(),
    "a length of 16 digits": b"Content-Length: 1000000000000000",
    "a length with a space behind": b"Content-Length: 3 ",
    "a length with a vertical tab": b"Content-Length: \x0b3",
}
CODINGS = {
    "a coding after chunked": b"Transfer-Encoding: chunked, gzip",
    "chunked twice": b"Transfer-Encoding: chunked, chunked",
    "chunked in two lines": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "a coding then chunked in two lines": b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    "identity": b"Transfer-Encoding: identity",
    "an empty coding": b"Transfer-Encoding:",
    "a comma": b"Transfer-Encoding: chunked,",
    "a comma before": b"Transfer-Encoding: ,chunked",
    "a parameter": b"Transfer-Encoding: chunked;a=b",
    "quotes": b'Transfer-Encoding: "chunked"',
    "a vertical tab": b"Transfer-Encoding: \x0bchunked",
    "xchunked": b"Transfer-Encoding: xchunked",
    "a tab behind": b"Transfer-Encoding: chunked\t",
    "a null": b"Transfer-Encoding: chunked\x00",
}
FIELDS = {
    "a space before the colon": b"X : 1",
    "a tab before the colon": b"X\t: 1",
    "a space before the name": b" X: 1",
    "obs-fold": b"X: 1\r\n 2",
    "obs-fold with a tab": b"X: 1\r\n\t2",
    "no colon": b"X",
    "no name": b": 1",
    "a null in a value": b"X: a\x00b",
    "a bell in a value": b"X: a\x07b",
    "delete in a value": b"X: a\x7fb",
    "a control byte in a name": b"X\x01: 1",
    "a byte over 127 in a name": b"X\xe9: 1",
    "a bracket in a name": b"X[: 1",
    "a bare LF": b"X: 1\nY: 2",
    "a bare CR": b"X: 1\rY: 2",
    "a CR before CRLF": b"X: 1\r",
    "a LF before CRLF": b"X: 1\n",
}
HOSTS = {
    "Host missing": b"GET / HTTP/1.1\r\nX: 1\r\n\r\n",
    "Host missing in HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "Host repeated": HEAD + b"Host: a\r\n\r\n",
    "another Host": HEAD + b"Host: b\r\n\r\n",
    **{
        f"Host {host!r}": b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host
        for host in (
            b"", b"a b", b"a,b", b"a/b", b"a@b", b"http://a", b"a:b", b"a:", b"a:123456", b"[::1", b"a\\b", b"a?b",
            b"a#b", "ä".encode(), b"a;b", b"a%2e", b'"a"', b":80", b"[::1]b",
        )
    },
}  # fmt: skip
TARGETS = {
    f"target {target!r}": b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target
    for target in (
        b"*", b"v1", b"a:80", b"http://b/", b"http://a:81/", b"https://a/", b"http://u@a/", b"ftp://a/", b"http:///",
        b"/\x01", b"/\x7f", b"/ b", b"/\tb", "/ä".encode(), b"?a", b"/a\x00", b"http://",
    )
}  # fmt: skip
LINES = {
    "HTTP/0.9": b"GET /\r\n\r\n",
    "no version": b"GET / \r\nHost: a\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "two spaces later": b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tab": b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space at the end": b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "a space before": b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "an empty line before": b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a small version": b"GET / http/1.1\r\nHost: a\r\n\r\n",
    "a long version": b"GET / HTTP/1.10\r\nHost: a\r\n\r\n",
    "no method": b"/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method with a slash": b"G/T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "bare LF throughout": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare LF after the first line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "bare LF at the end": b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    "bare CR after the first line": b"GET / HTTP/1.1\rHost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "nothing but CRLF": b"\r\n\r\n",
}
CHUNKS = {
    "a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "a minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "a prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a space before": b" 5\r\nhello\r\n0\r\n\r\n",
    "a space behind": b"5 \r\nhello\r\n0\r\n\r\n",
    "a tab behind": b"5\t\r\nhello\r\n0\r\n\r\n",
    "a space before an extension": b"5 ;a\r\nhello\r\n0\r\n\r\n",
    "an underscore": b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n",
    "16 digits": b"0000000000000005\r\nhello\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "only an extension": b";a=b\r\nhello\r\n0\r\n\r\n",
    "bare LF behind the size": b"5\nhello\r\n0\r\n\r\n",
    "bare CR behind the size": b"5\rhello\r\n0\r\n\r\n",
    "bare LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "a null in an extension": b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
    "delete in an extension": b"5;a=\x7f\r\nhello\r\n0\r\n\r\n",
    "a line of 257 bytes": b"5;" + b"a" * 253 + b"\r\nhello\r\n0\r\n\r\n",
    "more data than said": b"5\r\nhello!\r\n0\r\n\r\n",
    "less data than said": b"6\r\nhello\r\n0\r\n\r\n",
    "bare LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "bare CR behind the data": b"5\r\nhello\r0\r\n\r\n",
    "bare LF in trailers": b"0\r\nX: 1\nY: 2\r\n\r\n",
    "obs-fold in trailers": b"0\r\nX: 1\r\n 2\r\n\r\n",
    "a space in a trailer's name": b"0\r\nX : 1\r\n\r\n",
    "a control byte in a trailer": b"0\r\nX: \x01\r\n\r\n",
    "bare LF at the end": b"0\r\n\n",
    "a length in trailers": b"0\r\nContent-Length: 5\r\n\r\n",
    "a coding in trailers": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "Host in trailers": b"0\r\nHost: a\r\n\r\n",
    "an extension without a name": b"5;\r\nhello\r\n0\r\n\r\n",
    "an extension with a slash": b"5;a/b\r\nhello\r\n0\r\n\r\n",
    "an extension with an open quote": b'5;a="b\r\nhello\r\n0\r\n\r\n',
}
MALFORMED = {
    **{name: with_field(line) for name, line in (LENGTHS | CODINGS | FIELDS).items()},
    **HOSTS,
    **TARGETS,
    **LINES,
    **{f"chunks: {name}": CHUNKED + chunks for name, chunks in CHUNKS.items()},
}
OTHERS = {
    "a chunked message in HTTP/1.0": (
        400,
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "another coding": (501, with_field(b"Transfer-Encoding: gzip, chunked")),
    "CONNECT": (501, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
    "TRACE": (501, b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "the preface of HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/2.0": (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    "HTTP/1.2": (505, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    "another expectation": (417, with_field(b"Expect: 200-ok")),
    "a target of 8 KiB and one": (414, b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a target without an end": (414, b"GET /" + b"a" * 20_000),
    "a head of 16 KiB and one": (431, HEAD + b"X: " + b"a" * (16384 + 1 - len(HEAD) - 7) + b"\r\n\r\n"),
    "a head without an end": (431, HEAD + b"X: " + b"a" * 20_000),
    "101 fields": (431, HEAD + b"X: 1\r\n" * 100 + b"\r\n"),
    "trailers of 8 KiB and one": (431, CHUNKED + b"0\r\nX: " + b"a" * (8193 - 7) + b"\r\n\r\n"),
    "trailers without an end": (431, CHUNKED + b"0\r\nX: " + b"a" * 9000),
    "101 trailers": (431, CHUNKED + b"0\r\n" + b"X: 1\r\n" * 101 + b"\r\n"),
}
REFUSED = {**{name: (400, data) for name, data in MALFORMED.items()}, **OTHERS}


def read(reader: RequestReader | ResponseReader, pieces: list[bytes]) -> None:
    for piece in pieces:
        reader.receive(piece)
        while reader.next() is not None:
            pass


@pytest.mark.parametrize(("status", "data"), REFUSED.values(), ids=REFUSED)
def test_a_request_that_could_be_read_in_two_ways_is_refused(status: int, data: bytes) -> None:
    """Also when it comes byte by byte."""
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        with pytest.raises(ProtocolError) as refused:
            read(RequestReader(), pieces)
        assert refused.value.status == status


ANSWERS = {
    **{name: ANSWER + line + b"\r\n\r\n" for name, line in (LENGTHS | CODINGS | FIELDS).items()},
    **{
        f"chunks: {name}": ANSWER + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
        for name, chunks in CHUNKS.items()
    },
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "HTTP/0.9": b"<html>",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a long status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status 600": b"HTTP/1.1 600 No\r\n\r\n",
    "status 099": b"HTTP/1.1 099 No\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "a control byte in the reason": b"HTTP/1.1 200 O\x01K\r\n\r\n",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an empty line before": b"\r\nHTTP/1.1 200 OK\r\n\r\n",
}


@pytest.mark.parametrize("data", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_could_be_read_in_two_ways_is_refused(data: bytes) -> None:
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        with pytest.raises(ProtocolError):
            read(ResponseReader(), pieces)


def test_what_cannot_become_a_head_is_refused_before_its_end() -> None:
    for start in (
        b"\x16",
        b"GET /\r\n",
        b"GET / HTTP/3.0\r\n",
        b"GET / HTTP/1.1\r\nX: 1\n",
        b"(",
        b"G T\r\n",
    ):
        reader = RequestReader()
        reader.receive(start)
        with pytest.raises(ProtocolError):
            reader.next()


def test_limits_are_settable() -> None:
    reader = RequestReader(limits=Limits(fields=2))
    reader.receive(HEAD + b"A: 1\r\nB: 1\r\n\r\n")
    with pytest.raises(ProtocolError, match="more than 2 fields"):
        reader.next()
