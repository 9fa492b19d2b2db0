"""What people do with the stack, from the first registration to a gateway that is killed under them.

    python tests/journey.py [--url http://127.0.0.1:8080] [--kill-gateway | --read SECONDS]

Every step says what it found; the first that is not as promised ends the journey with exit status 1. ``--kill-gateway``
also kills ``gateway-1`` of the local stack (``focushub up``) while eight clients read, and waits for it to come back.
``--read`` has the eight clients read for so long, and whoever likes kills something meanwhile (a container, say).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).parent.parent
READING_SECONDS = 10.0


class Broken(Exception):
    """A promise that was not kept."""


class Answer:
    """A response, read whole."""

    def __init__(self, response: aiohttp.ClientResponse, body: Any) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = body
        self.what = f"{response.method} {response.url.path}"

    def expect(self, status: int) -> Answer:
        """This answer, if its status is the promised one."""
        if self.status != status:
            raise Broken(f"{self.what}: {self.status} instead of {status}: {self.body}")
        return self


class Person:
    """Somebody with an account; without ``token`` nobody."""

    def __init__(self, session: aiohttp.ClientSession, name: str = "nobody") -> None:
        self.name = name
        self.token: str | None = None
        self._session = session

    async def ask(self, method: str, path: str, body: Any = None, **fields: str) -> Answer:
        """Sends a request with the person's token; ``fields`` are further header fields, ``_`` for ``-``."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self._session.request(method, path, json=body, headers=headers) as response:
            raw = await response.read()
            return Answer(response, json.loads(raw) if raw else None)

    async def join(self) -> Person:
        """Registers and logs in."""
        account = {
            "email": f"{self.name}-{secrets.token_hex(6)}@example.com",
            "password": secrets.token_urlsafe(16),
        }
        (await self._patiently("/v1/auth/register", account)).expect(202)
        tokens = (await self._patiently("/v1/auth/login", account)).expect(200).body
        self.token = tokens["access_token"]
        renewed = await self.ask("POST", "/v1/auth/token/refresh", {"refresh_token": tokens["refresh_token"]})
        self.token = renewed.expect(200).body["access_token"]
        return self

    async def _patiently(self, path: str, body: Any) -> Answer:
        """Waits as told where an earlier journey used up the limit for logins."""
        answer = await self.ask("POST", path, body)
        if answer.status == 429:
            await asyncio.sleep(float(answer.headers["Retry-After"]))
            answer = await self.ask("POST", path, body)
        return answer


def done(step: str) -> None:
    """Says that a step is as promised."""
    print(f"  ok  {step}", flush=True)


async def work(person: Person) -> list[str]:
    """One person's project, task, focus session and habit; the paths of what was made."""
    project = (await person.ask("POST", "/v1/projects", {"name": "Garden"})).expect(201).body
    wanted = {
        "title": "Plant beans",
        "project_id": project["id"],
        "due": {"date": time.strftime("%Y-%m-%d", time.gmtime())},
    }
    task = (await person.ask("POST", "/v1/tasks", wanted)).expect(201).body
    start = {"kind": "pomodoro", "planned_s": 1500, "task_id": task["id"]}
    focus = (await person.ask("POST", "/v1/focus/sessions", start)).expect(201).body
    again = (await person.ask("POST", "/v1/focus/sessions", start)).expect(409)
    if again.body["code"] != "session_active":
        raise Broken(f"a second session: {again.body}")
    habit_wanted = {"name": "Read", "kind": "boolean", "schedule": {"kind": "daily"}}
    habit = (await person.ask("POST", "/v1/habits", habit_wanted)).expect(201).body
    day = (await person.ask("GET", "/v1/habits/today")).expect(200).body["date"]
    (await person.ask("PUT", f"/v1/habits/{habit['id']}/entries/{day}", {"state": "done"})).expect(200)
    done(f"{person.name} made a project, a task, a focus session and a habit, and checked in")
    return [
        f"/v1/projects/{project['id']}",
        f"/v1/tasks/{task['id']}",
        f"/v1/focus/sessions/{focus['id']}",
        f"/v1/habits/{habit['id']}",
    ]


async def see_the_day(person: Person) -> None:
    """The dashboard shows all of it."""
    day = (await person.ask("GET", "/v1/dashboard/today")).expect(200).body
    parts = {name: section["status"] for name, section in day["sections"].items()}
    if day["partial"] or set(parts.values()) != {"ok"}:
        raise Broken(f"the dashboard is not whole: {parts}")
    titles = [item["title"] for item in day["sections"]["tasks"]["data"]["items"]]
    if titles != ["Plant beans"]:
        raise Broken(f"the dashboard's tasks are {titles}")
    if "Read" not in json.dumps(day["sections"]["habits"]["data"]):
        raise Broken("the dashboard does not show the habit")
    done(f"{person.name}'s dashboard shows them")


async def keep_apart(paths: list[str], owner: Person, other: Person, nobody: Person) -> None:
    """What is one person's is not there for another, and nothing is there without a token."""
    for path in paths:
        (await owner.ask("GET", path)).expect(200)
        (await other.ask("GET", path)).expect(404)
        (await nobody.ask("GET", path)).expect(401)
    done(f"what is {owner.name}'s is 404 for {other.name} and 401 without a token")


async def send_nonsense(person: Person) -> None:
    """A bad body names every wrong field."""
    body = {"title": "", "priority": 9, "due": {"date": "tomorrow"}, "colour": "red"}
    problem = (await person.ask("POST", "/v1/tasks", body)).expect(422).body
    fields = {wrong["field"] for wrong in problem["errors"]}
    if not {"title", "priority", "due.date", "colour"} <= fields:
        raise Broken(f"a bad body: only {fields} were named")
    done(f"a bad body is 422 and names {', '.join(sorted(fields))}")


async def repeat(person: Person) -> None:
    """What is sent twice with one key is done once; what was read is not sent again; what was deleted comes back."""
    key, wanted = secrets.token_urlsafe(16), {"name": "Cellar"}
    first, again = [
        (await person.ask("POST", "/v1/projects", wanted, Idempotency_Key=key)).expect(201) for _ in range(2)
    ]
    if again.body != first.body or "Idempotency-Replayed" not in again.headers:
        raise Broken(f"a repeated request made {again.body} beside {first.body}")
    path = first.headers["Location"]
    (await person.ask("GET", path, If_None_Match=first.headers["ETag"])).expect(304)
    (await person.ask("DELETE", path)).expect(204)
    (await person.ask("GET", path)).expect(404)
    (await person.ask("POST", f"{path}/restore")).expect(200)
    (await person.ask("PATCH", path, wanted, If_Match=first.headers["ETag"])).expect(412)
    done(
        "a repeated request acts once, what is known is 304, what was deleted comes back, a late change is 412"
    )


async def hurry(person: Person) -> None:
    """A burst beyond the limit is refused, with the fields that say when to come back."""
    answer, count = await person.ask("GET", "/v1/projects"), 1
    while answer.status == 200 and count < 5000:
        if "RateLimit" not in answer.headers or "RateLimit-Policy" not in answer.headers:
            raise Broken("an answer does not tell its limits")
        answer, count = await person.ask("GET", "/v1/projects"), count + 1
    wait = int(answer.expect(429).headers["Retry-After"])
    done(f"request {count} of a burst is 429: RateLimit {answer.headers['RateLimit']}, Retry-After {wait}")


async def read_while(people: list[Person], seconds: float, after_two: asyncio.Event) -> int:
    """Eight clients read for ``seconds``; every read must succeed. Gives how many there were."""
    until = time.monotonic() + seconds
    reads = 0

    async def reader(person: Person) -> None:
        nonlocal reads
        while time.monotonic() < until:
            (await person.ask("GET", "/v1/tasks")).expect(200)
            reads += 1
            if time.monotonic() > until - seconds + 2:
                after_two.set()
            await asyncio.sleep(0.05)

    await asyncio.gather(*(reader(people[number % len(people)]) for number in range(8)))
    return reads


async def kill_a_gateway(people: list[Person]) -> None:
    """Nobody notices that a gateway is killed, and it comes back."""
    before = gateway_one()
    reading = await begin_to_read(people, READING_SECONDS)
    if not reading.done():
        os.kill(before["pid"], signal.SIGKILL)
    reads = await reading
    restarts = await back_again(before["pid"])
    done(f"gateway-1 was killed: {reads} reads by 8 clients, none failed; it is back (restarts: {restarts})")


async def keep_reading(people: list[Person], seconds: float) -> None:
    """Nobody notices what somebody else does meanwhile."""
    reading = await begin_to_read(people, seconds)
    done("8 clients are reading")
    done(f"{await reading} reads by 8 clients, none failed")


async def begin_to_read(people: list[Person], seconds: float) -> asyncio.Task[int]:
    """Readers who have been reading for two seconds, or have failed by then."""
    under_way = asyncio.Event()
    reading = asyncio.create_task(read_while(people, seconds, under_way))
    await asyncio.wait({reading, asyncio.create_task(under_way.wait())}, return_when=asyncio.FIRST_COMPLETED)
    return reading


async def back_again(killed: int) -> int:
    """Waits until another gateway-1 is healthy; how often it was started anew."""
    for _ in range(75):
        now = gateway_one()
        if now["status"] == "healthy" and now["pid"] != killed:
            return int(now["restarts"])
        await asyncio.sleep(0.2)
    raise Broken(f"gateway-1 is not back after 15 s: {now}")


def gateway_one() -> dict[str, Any]:
    """What ``focushub status`` says of it."""
    command = [sys.executable, "-m", "focushub_generator", "status", str(ROOT), "--json"]
    status = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout)
    return next(part for part in status["parts"] if part["name"] == "gateway-1")


@asynccontextmanager
async def speaking_to(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client whose every request has a deadline."""
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(url, timeout=timeout) as session:
        yield session


async def journey(url: str, *, kill_gateway: bool = False, read: float = 0) -> None:
    """The whole way; raises `Broken` at the first promise that is not kept."""
    async with speaking_to(url) as session:
        nobody, ann, bob = Person(session), Person(session, "ann"), Person(session, "bob")
        for person in (ann, bob):
            await person.join()
        done("ann and bob registered, logged in and renewed their tokens")
        for person, other in ((ann, bob), (bob, ann)):
            paths = await work(person)
            await see_the_day(person)
            await keep_apart(paths, person, other, nobody)
        await send_nonsense(ann)
        await repeat(ann)
        await hurry(await Person(session, "eve").join())
        if not (kill_gateway or read):
            return
        readers = [ann, bob, *[await Person(session, name).join() for name in ("dan", "fay")]]
        if kill_gateway:
            await kill_a_gateway(readers)
        else:
            await keep_reading(readers, read)


def main() -> int:
    """The journey as a script."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument(
        "--url", default="http://127.0.0.1:8080", help="where the stack is (default: %(default)s)"
    )
    at_the_end = arguments.add_mutually_exclusive_group()
    at_the_end.add_argument(
        "--kill-gateway",
        action="store_true",
        help="kill gateway-1 of the local stack while eight clients read",
    )
    at_the_end.add_argument(
        "--read", metavar="SECONDS", type=float, default=0, help="have eight clients read for so long"
    )
    given = arguments.parse_args()
    try:
        asyncio.run(journey(given.url, kill_gateway=given.kill_gateway, read=given.read))
    except (Broken, aiohttp.ClientError, TimeoutError) as error:
        print(f"  BROKEN  {error or type(error).__name__}", file=sys.stderr)
        return 1
    print("all promises kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())
