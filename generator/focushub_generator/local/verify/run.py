"""`focushub verify`: the way of one run.

Rules that hold here:

* Nobody's data are touched but those of the people it registers, and it says who they are.
* A gateway is killed after a fifth of the time and a service after a half, each only when the one before is back: the
  load goes on until all are back, also beyond its time.
* A stack that cannot be verified is an error with one line; a promise that was not kept is exit code 1 and a report.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from focushub_core import stack as stacks
from focushub_core.errors import ConfigurationError
from focushub_core.stack import Stack
from focushub_generator.local.verify import load, report
from focushub_generator.local.verify.client import REGISTER, Client
from focushub_generator.local.verify.kills import kill
from focushub_generator.local.verify.ledger import Ledger
from focushub_generator.local.verify.load import Load
from focushub_generator.local.verify.pace import CLIENTS, pace
from focushub_generator.local.verify.progress import Show
from focushub_generator.local.verify.promises import Kill, Verdict, judge
from focushub_generator.local.verify.stack import Running, running
from focushub_generator.local.verify.survey import Survey, survey
from focushub_generator.local.verify.wire import Request

FIRST, SECOND = 0.2, 0.5
"""When the gateway and the service are killed, as shares of the time."""
AFTER_S = 1.5
"""So long the load goes on after the last one is back."""
SHOWING_S = 0.25
DOCUMENT = "/openapi.json"


def verify(root: Path, *, seconds: float, service: str | None, as_json: bool) -> int:
    """Verifies the stack in ``root``; 1 when a promise was broken. `ConfigurationError` when it cannot be verified."""
    stack = stacks.load(root)
    names = [entry.name for entry in stack.services.values()]
    if service is not None and service not in names:
        raise ConfigurationError(f"there is no service {service}; there are {', '.join(names)}")
    with Show() as show:
        verdict = asyncio.run(_verify(stack, seconds, service, show))
    text = json.dumps(report.fields(verdict)) if as_json else "\n".join(report.lines(verdict))
    sys.stdout.write(text + "\n")
    return 0 if verdict.kept else 1


async def _verify(stack: Stack, seconds: float, service: str | None, show: Show) -> Verdict:
    async with running(stack, show.say) as found, AsyncExitStack() as clients:
        run = Run(stack, found, seconds, show)
        await run.sign_in(clients)
        await run.choose(service)
        return await run.go()


class Run:
    """One run: its people, what they send, and what came of it."""

    def __init__(self, stack: Stack, found: Running, seconds: float, show: Show) -> None:
        self.stack = stack
        self.running = found
        self.seconds = seconds
        self.show = show
        self.ledger = Ledger()
        self.id = secrets.token_hex(3)
        self.begun = time.monotonic()
        self.kills: list[Kill] = []

    def clock(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self.begun

    async def sign_in(self, resources: AsyncExitStack) -> None:
        """Registers the people. The first of them only tries out what there is, and is in no report."""
        people = [
            Client(self.running.url, self.id, number, self.ledger if number else Ledger(), self.clock)
            for number in range(CLIENTS + 1)
        ]
        self.scout, *self.clients = [await resources.enter_async_context(person) for person in people]
        document = (await self.scout.ask(Request("GET", DOCUMENT))).body
        if REGISTER not in document["paths"]:
            raise ConfigurationError(f"nobody can register: the stack's {DOCUMENT} has no {REGISTER}")
        self.offered = survey(document, self.stack.services.values())
        last = self.clients[-1].email
        self.show.say(f"Signing in {self.scout.email} to {last}; nobody else's data are touched")
        lives = [await person.join(self._waits) for person in people]
        if min(lives) < self.seconds + 30:
            raise ConfigurationError(f"tokens live for {min(lives):g} s only: take fewer --seconds")

    async def choose(self, service: str | None) -> None:
        """Finds out what can be sent, and who is to be killed."""
        self.survey = await load.trial(self.scout, self.offered)
        if not self.survey.reads:
            raise ConfigurationError(
                "nothing can be read: no GET of /openapi.json answers a new person with 200"
            )
        written = [collection.service for collection in self.survey.collections]
        asked = [*written, *(read.service for read in self.survey.reads if read.service)]
        self.victim = service or next(iter(asked), "")
        if self.victim not in self.running.services:
            raise ConfigurationError(f"{self.victim or 'any service'} does not run: see `focushub status`")
        self.show.say(_offer(self.survey))
        self.ledger.missing += await load.look(self.scout, self.survey.reads, "before anybody was killed")

    async def go(self) -> Verdict:
        """The load, the kills, the look at what is there; then the verdict."""
        self.begun = time.monotonic()
        rate = pace(self.stack.limits.values(), self.seconds)
        killing = asyncio.ensure_future(self._kill_both())
        showing = asyncio.ensure_future(self._show())

        def over() -> bool:
            failed = killing.done() and killing.exception() is not None
            return failed or (killing.done() and self.clock() > self._end)

        try:
            await load.send(self.clients, Load(self.survey, rate, over))
            await killing
        finally:
            killing.cancel()
            showing.cancel()
            self.show.over()
        self.show.say("Reading back what was written")
        await load.read_back(self.clients, self.survey.collections, self.ledger)
        self.ledger.missing += await load.look(self.scout, self.survey.reads, "when all were back")
        return judge(self.ledger, self.kills)

    @property
    def _end(self) -> float:
        """When the load may end."""
        return max(
            [self.seconds, *(killed.back + AFTER_S for killed in self.kills if killed.back is not None)]
        )

    async def _kill_both(self) -> None:
        if len(self.running.gateways) > 1:
            await self._kill(self.running.gateways[0], self.stack.root / "gateway", FIRST)
        else:
            self.show.say(
                "One gateway runs alone and is left alone: `focushub up --gateways 2` is what is promised"
            )
        if all(killed.back is not None for killed in self.kills):
            await self._kill(self.victim, self.stack.root / self.victim, SECOND)

    async def _kill(self, name: str, folder: Path, share: float) -> None:
        settled = [killed.until + AFTER_S for killed in self.kills]
        await asyncio.sleep(max([share * self.seconds, *settled]) - self.clock())
        killed = await kill(self.stack.root, name, folder, self.clock)
        self.kills.append(killed)
        came = (
            "did not come back" if killed.back is None else f"was back after {killed.back - killed.at:.1f} s"
        )
        self.show.say(f"{killed.at:5.1f} s  {name} (process {killed.pid}) was killed, and {came}")

    async def _show(self) -> None:
        while True:
            self.show.at(self.clock(), self.seconds, self.ledger)
            await asyncio.sleep(SHOWING_S)

    def _waits(self, seconds: float) -> None:
        self.show.say(f"The limit of logins asks to wait {seconds:g} s")


def _offer(found: Survey) -> str:
    """What the clients are going to send."""
    writes = ", ".join(collection.path for collection in found.collections) or "nothing"
    return f"{CLIENTS} clients read {len(found.reads)} paths and write to {writes}"
