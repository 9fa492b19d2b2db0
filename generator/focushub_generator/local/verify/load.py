"""What the clients do: a trial of all that the document offers, reads and writes in turns, a look at what is there.

Of `CYCLE` requests of a client one is a write, of `KEYLESS` writes one goes without a key; what was made is read at
once by its own path, where it has one.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from focushub_core.errors import ConfigurationError
from focushub_generator.local.verify.client import Client
from focushub_generator.local.verify.ledger import Ledger
from focushub_generator.local.verify.survey import Collection, Read, Survey
from focushub_generator.local.verify.wire import Reply

CYCLE, KEYLESS = 4, 4
WHOLE_S = 5.0
"""So long a gateway may take to see that a service is back."""
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Load:
    """What is sent, how fast (requests a second of one client), and until when."""

    survey: Survey
    rate: float
    over: Callable[[], bool]


async def trial(client: Client, offered: Survey) -> Survey:
    """What of ``offered`` works: reads that answer 200, and collections where two things are made and then listed."""
    reads = [read for read in offered.reads if (await client.read(read)).done]
    paths = {read.path for read in reads}
    collections = [
        tried
        for collection in offered.collections
        if collection.path in paths and (tried := await _try(client, collection)) is not None
    ]
    return Survey(tuple(reads), tuple(collections))


async def _try(client: Client, collection: Collection) -> Collection | None:
    """The collection with the one template that is accepted, if there is one."""
    for number, template in enumerate(collection.templates):
        replies = []
        for _ in range(2):
            replies.append(await client.write(collection, number, with_key=collection.takes_key))
            if not replies[-1].done:
                break
        if not all(reply.done for reply in replies):
            continue
        made = {write.mark for write in client.ledger.writes[-2:]}
        if made <= set(await client.marks(collection)):
            fitting = replace(collection, templates=(template,))
            return fitting if _id(replies[-1]) is not None else replace(fitting, item=None)
    return None


async def look(client: Client, reads: Sequence[Read], when: str) -> list[str]:
    """What of ``reads`` is not there, or not whole, within `WHOLE_S`; ``when`` begins the sentences."""
    give_up = time.monotonic() + WHOLE_S
    missing = []
    for read in reads:
        while not (reply := await client.read(read)).done or reply.lacks:
            if time.monotonic() > give_up:
                missing.append(f"{when}: {reply.attempt}" + (f" lacks {reply.lacks}" if reply.lacks else ""))
                break
            await asyncio.sleep(reply.retry_after)
    return missing


async def send(clients: Sequence[Client], load: Load) -> None:
    """All clients at once, until it is over."""
    await asyncio.gather(*(_keep_sending(client, load) for client in clients))


async def _keep_sending(client: Client, load: Load) -> None:
    reads = _from(load.survey.reads, client.number)
    writes = _from(load.survey.collections, client.number)
    keys = _from([*[True] * (KEYLESS - 1), False], client.number)
    loop = asyncio.get_running_loop()
    due = loop.time() + client.number / (load.rate * CYCLE)
    for turn in itertools.count(client.number):
        await asyncio.sleep(due - loop.time())
        if load.over():
            return
        due = max(due, loop.time() - 1.0) + 1.0 / load.rate  # after a wait it does not hurry for long
        collection = next(writes, None) if turn % CYCLE == 0 else None
        if collection is not None:
            await _write_and_see(client, collection, with_key=next(keys) and collection.takes_key)
        else:
            await _wait_if_limited(await client.read(next(reads)))


async def _write_and_see(client: Client, collection: Collection, *, with_key: bool) -> None:
    reply = await client.write(collection, with_key=with_key)
    if reply.done and collection.item is not None and (made := _id(reply)) is not None:
        await _wait_if_limited(await client.see(collection, made))


async def _wait_if_limited(reply: Reply) -> None:
    if reply.attempt.status == 429:
        await asyncio.sleep(min(reply.retry_after, 5.0))


async def read_back(clients: Sequence[Client], collections: Sequence[Collection], ledger: Ledger) -> None:
    """Writes down how often each mark is there, and which lists cannot be read."""
    await asyncio.gather(*(_read_back(client, collections, ledger) for client in clients))


async def _read_back(client: Client, collections: Sequence[Collection], ledger: Ledger) -> None:
    for collection in collections:
        try:
            ledger.found |= await client.marks(collection)
        except ConfigurationError as error:
            ledger.unread[client.number, collection.path] = str(error)


def _from(things: Sequence[Thing], start: int) -> Iterator[Thing]:
    """Round and round, each client from another place; nothing where there is nothing."""
    return itertools.islice(itertools.cycle(things), start % len(things), None) if things else iter(())


def _id(reply: Reply) -> object:
    return reply.body.get("id") if isinstance(reply.body, dict) else None
