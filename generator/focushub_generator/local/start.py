"""The start of a stack, stage by stage: servers, databases, parts, health, and what is said when all is well.

Rules that hold here:

* A stage begins when the one before is done: migrations before any service, every part healthy, and found so by who
  sends requests to it, before the table.
* What fails raises `ConfigurationError` with one line that names the part; its last log lines were shown before.
* PostgreSQL and Valkey may die at any moment of this: the supervisor starts them again and the stage goes on.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from focushub_core.embedded import EmbeddedPostgres, EmbeddedServer, EmbeddedValkey, free_port
from focushub_core.errors import ConfigurationError
from focushub_generator.local import health, lock, readiness, server, state, topology
from focushub_generator.local.console import INFO, table
from focushub_generator.local.guard import Command
from focushub_generator.local.session import Session
from focushub_generator.local.supervisor import HOPELESS, Part, words
from focushub_generator.local.topology import HttpPart, secret

PATIENCE = 60.0
"""Seconds for every part to become healthy, and for the databases to be made."""
SEEING_S = 5.0
"""Seconds for a gateway to see its services: some checks of theirs."""
POLL = 0.1
TRIES = 3
DEMO_EMAIL = "demo@example.com"
SETUP_VARIABLE = "FOCUSHUB_SETUP"
OTHER_DATA = (
    "the data were made with another POSTGRES_PASSWORD than .env has now: "
    "put the old .env back, or remove .focushub and the data with it"
)


async def start(session: Session) -> None:
    """Starts everything and returns when all is healthy and said; a part that is given up meanwhile ends it."""
    stages = asyncio.ensure_future(_stages(session))
    lost = asyncio.ensure_future(session.lost.get())
    try:
        await asyncio.wait([stages, lost], return_when=asyncio.FIRST_COMPLETED)
        if lost.done() and not stages.done():
            raise _failure(session, lost.result())
        await stages
    finally:
        stages.cancel()
        lost.cancel()
        await asyncio.gather(stages, lost, return_exceptions=True)


async def _stages(session: Session) -> None:
    session.console.name_parts([*(part.name for part in session.wanted), *server.CLASSES, "setup"])
    session.console.say(f"Starting {session.stack.name}")
    admin_url, redis_url = await _start_servers(session)
    urls = topology.database_urls(session.stack, admin_url, session.settings)
    shared = topology.shared_environment(session.stack, session.plan, redis_url)
    state.write_run_env(session.root, {**shared, **urls})
    session.write_state()
    await _make_databases(session, admin_url, urls)
    await asyncio.gather(*(_start_part(session, part, {**shared, **urls}) for part in session.wanted))
    await _wait_for_all(session)
    await _say_ready(session)


async def _start_servers(session: Session) -> tuple[str, str]:
    """The administrator's URL of PostgreSQL and the URL of Redis, on embedded servers where none were named."""
    folder = lock.folder_of(session.root)
    admin_url, redis_url = session.options.postgres, session.options.redis
    http = {part.port for part in session.plan}  # nobody listens there yet, nor on that of a part left out
    if admin_url is None:
        password = secret(session.settings, "POSTGRES_PASSWORD")
        postgres = EmbeddedPostgres(folder / "postgres", port=free_port(http), password=password)
        await _start_server(session, "postgres", postgres, password)
        admin_url = postgres.url()
    if redis_url is None:
        password = secret(session.settings, "REDIS_PASSWORD")
        valkey = EmbeddedValkey(folder / "redis", port=free_port(http), password=password)
        await _start_server(session, "redis", valkey, password)
        redis_url = valkey.url()
    for name, url in (("postgres", session.options.postgres), ("redis", session.options.redis)):
        if url is not None:
            session.named_servers[name] = without_login(url)
    return admin_url, redis_url


def without_login(url: str) -> str:
    """An address that may be shown: no user, no password, no options."""
    address = urlsplit(url)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}"


async def _start_server(session: Session, name: str, embedded: EmbeddedServer, password: str) -> None:
    scheme = {"postgres": "postgresql"}.get(name, name)
    command = server.command_for(name, embedded, password, session.environ)
    part = await session.add(name, name, f"{scheme}://{embedded.host}:{embedded.port}", command)
    await session.supervisor.start(part)


async def _make_databases(session: Session, admin_url: str, urls: Mapping[str, str]) -> None:
    """Roles, databases, migrations: in a process of its own, which waits for PostgreSQL by itself."""
    databases = [
        {
            "name": service.database,
            "password": secret(session.settings, f"{service.variable}_DATABASE_PASSWORD"),
            "url": urls[f"{service.variable}_DATABASE_URL"],
            "migrations": str(session.root / service.migrations),
        }
        for service in session.stack.services.values()
        if service.database is not None
    ]
    login = "check the login in --postgres" if session.options.postgres else OTHER_DATA
    work = {"admin_url": admin_url, "login": login, "patience": PATIENCE, "databases": databases}
    argv = (sys.executable, "-P", "-m", "focushub_generator.local.setup")
    command = Command(argv, session.root, {**session.environ, SETUP_VARIABLE: json.dumps(work)})
    part = await session.add("setup", "setup", "", command, once=True)
    for _ in range(TRIES):
        code = await session.supervisor.run_once(part)
        if code >= 0:
            break  # else somebody killed it: all that it does may be done again
    if code:
        raise _failure(session, part)


async def _start_part(session: Session, part: HttpPart, found: Mapping[str, str]) -> None:
    mode = "development" if session.development else "production"
    environment = topology.part_environment(part, session.root, session.environ, found, mode)
    folder = session.root / part.folder
    command = Command(topology.part_command(part), folder, environment)
    started = await session.add(part.name, part.kind, part.url, command)
    await session.supervisor.start(started)


async def _wait_for_all(session: Session) -> None:
    """Asks every HTTP part until it is healthy, and says so of each."""
    deadline = time.monotonic() + PATIENCE
    parts = [part for part in session.parts.values() if part.url.startswith("http")]
    await asyncio.gather(*(_until_healthy(session, part, deadline) for part in parts))
    await asyncio.gather(*(_until_it_sees(session, part, parts) for part in parts))


async def _until_healthy(session: Session, part: Part, deadline: float) -> None:
    while (answer := await health.health(part.url, 1.0)).status != 200:
        if time.monotonic() > deadline:
            _show_last_words(session, part)
            said = f"{answer.status} {answer.body}" if answer.status else answer.body
            raise ConfigurationError(f"{part.name} was not healthy within {PATIENCE:g} s: {said}")
        await asyncio.sleep(POLL)
    session.console.say(f"{part.name.ljust(16)} healthy after {time.monotonic() - session.begun:.1f} s")


async def _until_it_sees(session: Session, part: Part, parts: Sequence[Part]) -> None:
    """Waits until a part no longer counts those behind it as down, which they were when it looked first."""
    names = {other.url: other.name for other in parts}
    give_up = time.monotonic() + SEEING_S
    while unseen := readiness.unfit((await health.readiness(part.url, 1.0)).fields, names):
        if time.monotonic() > give_up:
            session.console.say(f"{part.name} still leaves out {', '.join(unseen)}")
            return
        await asyncio.sleep(POLL)


async def _say_ready(session: Session) -> None:
    session.ready = True
    session.write_state()
    say = session.console.say
    rows = [("part", "address", "status", "pid")]
    for entry in session.entries():
        status = "in use" if entry["pid"] is None else "healthy"
        rows.append((str(entry["name"]), str(entry["url"]), status, str(entry["pid"] or "-")))
    for line in ["", *table(rows, bold_head=session.console.colourful), ""]:
        say(line)
    balancer = next((part.url for part in session.wanted if part.kind == "load-balancer"), None)
    seconds = time.monotonic() - session.begun
    say(f"{session.stack.name} is ready after {seconds:.1f} s{f': {balancer}' if balancer else ''}")
    if balancer:
        say(f"Look at its API: {balancer}/docs")
    if session.development and balancer:
        await _say_demo_login(session, balancer)
    say("Ctrl-C stops everything.\n")
    session.console.level = INFO


async def _say_demo_login(session: Session, balancer: str) -> None:
    """Registers the demo person, who may be there already, and says how to log in."""
    password = session.settings.get("DEMO_PASSWORD")
    if not password or "auth-service" not in session.parts:
        return
    body = {"email": DEMO_EMAIL, "password": password}
    answer = await health.request(f"{balancer}/v1/auth/register", method="POST", body=body, timeout=10.0)
    if answer.status == 202:
        session.console.say(f"Demo login: {DEMO_EMAIL} / {password}")
    else:
        session.console.say(f"No demo login: registering it answered {answer.status or answer.body}")


def _failure(session: Session, part: Part) -> ConfigurationError:
    """The one line for a part that does not start, after its last log lines."""
    if part.code == HOPELESS:
        return ConfigurationError(f"{part.name} cannot run here: {part.journal.last_message()}")
    if part.code == 1 and part.once:
        return ConfigurationError(f"the databases cannot be made: {part.journal.last_message()}")
    _show_last_words(session, part)
    times = f", {part.restarts + 1} times" if part.restarts else ""
    return ConfigurationError(f"{part.name} does not start: it {words(part.code)}{times}")


def _show_last_words(session: Session, part: Part) -> None:
    for line in [f"The last lines of {part.name}:", *part.journal.last_words()]:
        session.console.say(line)
