"""Requests that are a little wrong: good ones, mutated in the ways that smuggling is made of."""

from __future__ import annotations

from random import Random

GOOD = [
    b"GET /a HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX: 1\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nX: 1\r\n\r\nhello world",
    b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
    b"PUT /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n",
    b"GET http://a/e HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x\r\n\r\n",
    b"POST /f HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /g HTTP/1.1\r\nHost: a\r\nX-Request-Id: 0190a5c2f7e87b3c\r\nX: 1\r\n\r\n",
    b"GET /h HTTP/1.0\r\nHost: a\r\n\r\n",
]
BITS = [
    b"\r", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b" ", b"\t", b"\x00", b"\x0b", b"\x0c", b"\x7f", b"\x80", b"\xff",
    b":", b";", b",", b"0", b"5", b"+", b"-", b"0x", b"_", b'"', b"\\", b"\r\n ", b"\r\n\t", b" :", b"0\r\n\r\n",
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"content-length:11\r\n", b"Content-Length: 5, 5\r\n",
    b"Content-Length : 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding : chunked\r\n",
    b"transfer-encoding:\tchunked\r\n", b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer_Encoding: chunked\r\n", b"Transfer-Encoding: \x0bchunked\r\n", b"Host: b\r\n", b"Host: \r\n",
    b"Connection: close\r\n", b"Connection: content-length\r\n", b"Upgrade: h2c\r\n", b"HTTP/1.1", b"HTTP/1.0",
    b"HTTP/0.9", b"HTTP/2.0", b"GET", b"/", b"ffffffffffffffff", b"100000000", b"\r\n5\r\nhello\r\n0\r\n\r\n",
    b"X-Request-Id: 5\r\n", b"x-request-id: 5\r\n", b"X-Request-Id: \r\n", b"X-Request-Id: ", b"X-Request-Id:",
]  # fmt: skip


def mutated(random: Random) -> bytes:
    """One to three good requests behind each other, changed at one to four places."""
    data = bytearray(b"".join(random.choices(GOOD, k=random.randint(1, 3))))
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        match random.randrange(6):
            case 0:
                data[at:at] = random.choice(BITS)
            case 1:
                data[at : at + random.randint(1, 3)] = random.choice(BITS)
            case 2:
                del data[at : at + random.randint(1, 4)]
            case 3:
                data[at : at + 1] = bytes([random.randrange(256)])
            case 4:
                _at_a_line(random, data, random.choice(BITS))
            case _:
                start = random.randrange(len(data) + 1)
                data[at:at] = data[start : start + random.randint(1, 40)]
    return bytes(data)


def _at_a_line(random: Random, data: bytearray, bit: bytes) -> None:
    """Put ``bit`` where a line begins or ends: most of what goes wrong does so there."""
    starts = [at for at in range(len(data)) if data[at : at + 2] == b"\r\n"]
    if starts:
        at = random.choice(starts) + random.choice((0, 2))
        data[at:at] = bit
