"""Who asks is who sent the token, whoever asked before on the same connection."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from focushub_core import Service, User, get

from .test_server import request


class Mirror(Service):
    name = "mirror-service"

    @get("/v1/me")
    async def me(self, user: User) -> dict[str, str]:
        return {"id": str(user.id)}


async def test_people_who_share_a_connection_are_kept_apart(serve: Any) -> None:
    """As behind a gateway: nothing differs but the token, in turns, several times, and then one that is none."""
    client = await serve(Mirror)
    people = [client.person() for _ in range(3)]
    tokens = {person.id: client.mint.token(person.id) for person in people}
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answered = []
    async with asyncio.timeout(20):
        for person in people * 4 + [people[0]] * 2 + people[::-1] * 2:
            writer.write(request("GET /v1/me", f"Authorization: Bearer {tokens[person.id]}"))
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            assert length is not None
            answered.append((person.id, (await reader.readexactly(int(length[1]))).decode()))
    assert [f'{{"id":"{who}"}}' for who, _ in answered] == [said for _, said in answered]
    writer.write(request("GET /v1/me", "Authorization: Bearer nonsense"))
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 401 ")
    writer.close()


async def test_a_token_that_has_ended_is_none_also_for_who_was_known(serve: Any) -> None:
    """On the connection on which it was good."""
    client = await serve(Mirror)
    token = client.mint.token(client.person().id)
    me = client.bearer(token)
    assert [(await me.get("/v1/me")).status for _ in range(3)] == [200, 200, 200]
    client.service.verifier._clock = lambda: 2**40
    assert (await me.get("/v1/me")).status == 401
