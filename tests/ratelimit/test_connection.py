"""One connection for all: what it sends, what it does when there is no answer, and how it comes back."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import uvloop

from focushub_core.errors import ConfigurationError
from focushub_core.ratelimit.connection import Address, Connection, Refused
from focushub_core.ratelimit.store import StoreUnavailable


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1", Address("127.0.0.1", 6379)),
        (
            "redis://:pass%40word@db:7000/2",
            Address("db", 7000, greeting=(("AUTH", "pass@word"), ("SELECT", "2"))),
        ),
        ("rediss://ann:x@db/0", Address("db", 6379, tls=True, greeting=(("AUTH", "ann", "x"),))),
        (
            "unix://:x@/run/v.sock?db=3",
            Address("", 6379, "/run/v.sock", greeting=(("AUTH", "x"), ("SELECT", "3"))),
        ),
    ],
)
def test_an_address_is_read_as_other_clients_read_it(url: str, expected: Address) -> None:
    assert Address.parse(url) == expected


@pytest.mark.parametrize("url", ["", "http://db", "redis://", "redis://db/x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        Address.parse(url)


async def test_everybody_gets_the_answer_to_their_own_question(valkey_url: str) -> None:
    connection = Connection(valkey_url, deadline_s=5)
    answers = await asyncio.gather(*(connection.call("ECHO", str(number)) for number in range(1000)))
    connection.drop("done")

    assert [int(answer) for answer in answers] == list(range(1000))


def test_it_speaks_on_uvloop_as_on_asyncio(valkey_url: str) -> None:
    async def ask() -> Any:
        connection = Connection(valkey_url, deadline_s=5)
        answer = await connection.call("ECHO", "here")
        connection.drop("done")
        return answer

    assert uvloop.run(ask()) == b"here"


async def test_who_gives_up_waiting_does_not_shift_the_answers(valkey_url: str) -> None:
    connection = Connection(valkey_url, deadline_s=5)
    await connection.call("PING")
    given_up = [connection.call("ECHO", f"x{number}") for number in range(10)]
    for future in given_up:
        future.cancel()

    assert await connection.call("ECHO", "mine") == b"mine"
    connection.drop("done")


async def test_an_error_is_of_its_own_question_only(valkey_url: str) -> None:
    connection = Connection(valkey_url, deadline_s=5)
    wrong, right = connection.call("EVALSHA", "0" * 40, 0), connection.call("ECHO", "fine")
    with pytest.raises(Refused) as refused:
        await wrong

    assert refused.value.code == "NOSCRIPT"
    assert await right == b"fine"
    connection.drop("done")


async def test_a_wrong_password_is_the_reason_given(valkey_url: str) -> None:
    host = valkey_url.rpartition("@")[2]
    connection = Connection(f"redis://:wrong@{host}", deadline_s=5)
    with pytest.raises(StoreUnavailable, match="WRONGPASS"):
        await connection.call("PING")


class Server:
    """Reads all it is sent and answers each PING with ``answer``, or never."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer = answer
        self.received: list[bytes] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: Any) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
            await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        while data := await reader.read(65536):
            self.received.append(data)
            writer.write(self.answer * data.count(b"PING"))


async def test_what_is_said_in_one_turn_leaves_in_one_piece() -> None:
    async with Server(b"+OK\r\n") as server:
        connection = Connection(server.url, deadline_s=5)
        await connection.call("PING")
        server.received.clear()
        await asyncio.gather(*(connection.call("PING") for _ in range(49)))
        connection.drop("done")

    assert len(server.received) == 1


@pytest.mark.slow
async def test_no_answer_in_time_fails_all_who_wait_and_nothing_is_sent_twice() -> None:
    async with Server() as server:
        connection = Connection(server.url, deadline_s=0.1)
        started = time.monotonic()
        calls = [connection.call("INCR", f"key-{number}") for number in range(20)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        waited = time.monotonic() - started

        assert {type(result) for result in results} == {StoreUnavailable}
        assert 0.09 < waited < 0.2
        assert b"".join(server.received).count(b"INCR") == 20


async def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    async with Server(b"+OK\r\n+OK\r\n") as server:
        connection = Connection(server.url, deadline_s=5)
        await connection.call("PING")
        await connection.call("PING")

    assert len(server.received) == 2


async def test_nonsense_is_not_an_answer() -> None:
    async with Server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        with pytest.raises(StoreUnavailable, match="not an answer of Redis"):
            await Connection(server.url, deadline_s=5).call("PING")


async def test_a_process_that_was_held_up_itself_still_takes_the_answer(valkey_url: str) -> None:
    """The answer lies in the socket; that nobody looked for 0.3 s is not Redis being away."""
    connection = Connection(valkey_url, deadline_s=0.1)
    await connection.call("PING")
    for _ in range(3):
        call = connection.call("ECHO", "here")
        await asyncio.sleep(0)  # it is sent
        time.sleep(0.3)  # noqa: ASYNC251 (what is tested)

        assert await call == b"here"
    connection.drop("done")


async def test_after_a_failure_the_next_call_connects_anew(valkey_url: str, relay: Any) -> None:
    line = await relay(valkey_url)
    connection = Connection(line.url, deadline_s=0.5)
    assert await connection.call("PING") == b"PONG"
    line.cut = True
    with pytest.raises(StoreUnavailable):
        await connection.call("PING")
    line.cut = False

    assert await connection.call("PING") == b"PONG"
    assert line.connections == 2
    connection.drop("done")
