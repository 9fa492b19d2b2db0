"""The two sides, as chains of processes: each on the servers' core, each behind the one that was started before it.

Rules that hold here:

* Both sides get the same users, the same quota, the same upstreams and the same Valkey. Tokens say the same claims,
  signed by the same key; only ``alg`` differs: FocusHub takes ``Ed25519`` alone, fast-jwt knows ``EdDSA`` alone.
* Quotas are never reached: a limit that refuses would be measured as fast answers.
* What belongs to neither side (upstreams, Valkey, PostgreSQL) runs on the load's core.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from harness import LOAD_CORE, Contender, free_port, pin, running
from joserfc import jws
from joserfc.jwk import OKPKey
from uuid_utils.compat import uuid7
from wrk import Tools

HERE = Path(__file__).parent
DATABASE = HERE.parent / "database"
USERS = 200
PACKAGES = (
    "fastify@5",
    "@fastify/http-proxy@11",
    "@fastify/rate-limit@10",
    "fast-jwt@6",
    "fastify-metrics@12",
    "ioredis@5",
    "pg@8",
    "pino@10",
    "prom-client@15",
    "undici@7",
)
PREFIXES = {
    "auth": ["/v1/auth", "/v1/me", "/.well-known"],
    "task": ["/v1/projects", "/v1/sections", "/v1/labels", "/v1/tasks", "/v1/comments", "/v1/notes"],
    "focus": ["/v1/focus"],
    "habit": ["/v1/habits"],
}
_STACK = """
[stack]
name = "bench"
[gateway]
replicas = 1
[limits.user]
quota = 600000
window = 60
by = "user"
"""
_UNLIMITED = _STACK.partition("[limits.user]")[0]

Link = Callable[[str], Contender]
"""A server of a chain; it gets the origin of the one behind it, or nothing."""


class Side(NamedTuple):
    """Who is asked: the last of ``chain``, with ``tokens`` in turn; ``varied``: no two requests are alike."""

    name: str
    chain: Sequence[Link]
    tokens: Sequence[str]
    limited: bool = True
    varied: bool = False


class Running(NamedTuple):
    """A side that runs: its processes, and the origin of the one that is asked."""

    side: Side
    pids: Sequence[int]
    url: str


class Users:
    """Some people and their tokens for each side."""

    def __init__(self) -> None:
        self._key = OKPKey.generate_key("Ed25519", {"kid": "bench"}, private=True)
        people = [str(uuid7()) for _ in range(USERS)]
        self.ours = [self._token(each, "Ed25519") for each in people]
        self.theirs = [self._token(each, "EdDSA") for each in people]

    @property
    def jwk(self) -> str:
        """The public key."""
        return json.dumps(self._key.as_dict(private=False))

    def _token(self, person: str, algorithm: str) -> str:
        now = int(time.time())
        claims = {
            "iss": "focushub", "aud": "focushub", "sub": person, "sid": str(uuid7()), "jti": str(uuid7()),
            "iat": now, "nbf": now, "exp": now + 6 * 3600,
        }  # fmt: skip
        header = {"alg": algorithm, "typ": "at+jwt", "kid": "bench"}
        registry = jws.JWSRegistry(algorithms=[algorithm])
        with warnings.catch_warnings():  # of the older name
            warnings.simplefilter("ignore")
            return jws.serialize_compact(header, json.dumps(claims).encode(), self._key, registry=registry)


class Makers:
    """What a side is made of. ``upstream`` is the origin of all services, ``redis`` Valkey's address."""

    def __init__(self, users: Users, upstream: str, redis: str, modules: Path, folder: Path) -> None:
        self._users = users
        self._upstream = upstream
        self._redis = redis
        self._modules = {"NODE_MODULES_OF": str(modules), "NODE_ENV": "production"}
        self._folders = {}
        for limited, text in ((True, _STACK), (False, _UNLIMITED)):
            self._folders[limited] = place = folder / f"stack-{limited}"
            place.mkdir()
            services = (
                f"[services.{key}]\nport = {3001 + at}\nprefixes = {json.dumps(prefixes)}\n"
                for at, (key, prefixes) in enumerate(PREFIXES.items())
            )
            (place / "focushub.toml").write_text(text + "".join(services))

    def our_gateway(self, *, limited: bool = True) -> Link:
        """`Gateway`, in production's settings."""

        def made(behind: str) -> Contender:
            environ = {
                **self._ours(limited),
                "AUTH_JWKS_URL": "http://127.0.0.1:1/",
                "JWKS": f'{{"keys": [{self._users.jwk}]}}',
                "SERVICE_URL": self._upstream,
            }
            if behind:
                environ["TASK_SERVICE_URL"] = behind
            if limited:
                environ["REDIS_URL"] = self._redis
            return Contender("our gateway", [sys.executable, str(HERE / "ours.py"), "gateway"], environ)

        return made

    def our_balancer(self) -> Link:
        """`LoadBalancer`."""
        command = [sys.executable, str(HERE / "ours.py"), "balancer"]
        return lambda behind: Contender("our balancer", command, {**self._ours(True), "GATEWAY_URLS": behind})

    def our_service(self, database: str) -> Link:
        """The service of the database's benchmark."""
        environ = {**self._ours(True), "DATABASE_URL": database}
        return lambda _: Contender(
            "our service", [sys.executable, str(DATABASE / "service.py"), "own"], environ
        )

    def their_gateway(self, *, limited: bool = True, spliced: bool = False) -> Link:
        """Fastify with a proxy for each prefix, fast-jwt and @fastify/rate-limit.

        ``spliced``: its dashboard looks at the services' JSON and passes it on as it came.
        """

        def made(behind: str) -> Contender:
            services = {key: {"url": self._upstream, "prefixes": PREFIXES[key]} for key in PREFIXES}
            if behind:
                services["task"]["url"] = behind
            environ = {**self._modules, "JWK": self._users.jwk, "SERVICES": json.dumps(services)}
            if limited:
                environ["REDIS_URL"] = self._redis
            if spliced:
                environ["SPLICED"] = "1"
            return Contender("Fastify's gateway", ["node", str(HERE / "fastify.cjs"), "gateway"], environ)

        return made

    def their_balancer(self) -> Link:
        """Fastify with one proxy."""
        command = ["node", str(HERE / "fastify.cjs"), "balancer"]
        return lambda behind: Contender("Fastify's balancer", command, {**self._modules, "UPSTREAM": behind})

    def their_service(self, database: str, asked: str) -> Link:
        """Fastify + pg, of the database's benchmark, at its fastest; ``asked`` are its statements."""
        environ = {**self._modules, "DATABASE_URL": database, "NOTES": asked}
        command = ["node", str(DATABASE / "fastify.cjs"), "tuned"]
        return lambda _: Contender("Fastify + pg", command, environ)

    def _ours(self, limited: bool) -> dict[str, str]:
        return {
            "STACK": str(self._folders[limited]),
            "FOCUSHUB_ENV": "production",
            "LOG_FORMAT": "json",
            "DRAIN_SECONDS": "0",
        }


@contextmanager
def started(side: Side) -> Iterator[Running]:
    """All of the side's processes, from the last one to the one that is asked."""
    with ExitStack() as stack:
        pids: list[int] = []
        url = ""
        for link in side.chain:
            pid, port = stack.enter_context(running(link(url)))
            pids.append(pid)
            url = f"http://127.0.0.1:{port}"
        yield Running(side, pids, url)


@contextmanager
def upstream(tools: Tools, folder: Path) -> Iterator[str]:
    """nginx as all four services: 150 bytes of JSON, and what a dashboard's sections are made of; its origin."""
    port = free_port()
    small = {"id": "0190a5c2", "title": "hello", "done": False, "labels": ["a", "b"], "note": "x" * 60}
    item = {"id": "0190a5c2-f7e8-7b3c-9d1e-2f6a4b8c0d1e", "title": "Buy milk and bread", "done": False,
            "priority": 2, "due": "2026-11-23T17:00:00Z", "labels": ["home", "errand"]}  # fmt: skip
    sizes = {"/v1/me": 5, "/v1/tasks/today": 10, "/v1/focus/summary": 6, "/v1/habits/today": 8}
    places = [
        f"location = {path} {{ return 200 '{json.dumps({'items': [item] * count})}'; }}"
        for path, count in sizes.items()
    ]
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = f"""worker_processes 1; daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/err;
    events {{ worker_connections 4096; }}
    http {{ {temporary} access_log off; default_type application/json; keepalive_requests 100000000;
      server {{ listen 127.0.0.1:{port} backlog=1024; {" ".join(places)}
        location / {{ return 200 '{json.dumps(small)}'; }} }} }}"""
    file = folder / "nginx.conf"
    file.write_text(text)
    process = subprocess.Popen(  # noqa: S603
        [tools.find("nginx"), "-p", str(folder), "-c", str(file)], env=dict(tools.environment())
    )
    try:
        pin(LOAD_CORE, process.pid)
        deadline = time.monotonic() + 10
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("nginx did not start")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def node_modules(given: Path | None, stack: ExitStack) -> Path:
    """A folder in which the peers are installed: by npm into a temporary one where none is given."""
    if given is not None:
        return given.resolve()
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not installed: without Fastify there is nothing to compare with")
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="focushub-bench-"))
    install = [npm, "install", "--no-fund", "--no-audit", "--prefix", folder, *PACKAGES]
    subprocess.run(install, check=True, capture_output=True)  # noqa: S603
    return Path(folder)


def node_version() -> str:
    """As ``node --version`` says it."""
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)  # noqa: S607
    return said.stdout.strip().removeprefix("v")
