"""A small stack of parts that need nothing but the standard library, and the means to run `focushub up` on it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

MARK = "FOCUSHUB_TEST_STACK"

PART = '''
"""A part: answers /health, tells how it ends, dies or ails when a file beside it says so."""
import http.server, json, os, signal, sys, threading
from pathlib import Path

def say(text):
    line = {"ts": "2026-01-01T00:00:00.000Z", "level": "info", "part": os.environ["INSTANCE"], "message": text}
    print(json.dumps(line), flush=True)

def end(number, frame):
    with open("../ends", "a") as file:
        file.write(f"{os.environ['INSTANCE']} {signal.Signals(number).name}\\n")
    if not Path("stubborn").exists():
        os._exit(0)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(503 if Path("ailing").exists() else 200, {"status": "healthy", "version": "7"})
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(202, {})
    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

if Path("hopeless").exists():
    print("no use at all", flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
new = Path(f"environment.{os.getpid()}")  # replicas share their folder
new.write_text(json.dumps(dict(os.environ)))
new.replace("environment.json")  # whole, or not there
server = http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
say("listening")
server.serve_forever()
'''

ENV_EXAMPLE = """\
POSTGRES_PASSWORD=
REDIS_PASSWORD=
AUTH_DATABASE_PASSWORD=
TASK_DATABASE_PASSWORD=
DEMO_PASSWORD=
"""


def wait_for(condition: Callable[[], Any], seconds: float = 40.0, what: str = "it") -> Any:
    """The condition's first true value; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.02)
    return found


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Waits in a running loop until a condition is true; fails when that takes half a minute."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - a process outside is waited for
                await asyncio.sleep(0.01)

    return wait


WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Which of the processes this is that tests run in at once; two of them take turns in what they may use."""


def free_base() -> int:
    """A base port such that all ports of a small stack are free.

    They lie below those that `free_port` gives to servers, which could else take one before the part that it is for.
    """
    for base in random.sample(range(10000 + 25 * (WORKER % 2), 14300, 50), 80):
        if all(_is_free(base + offset) for offset in (0, 1, 2, 3, 103)):
            return base
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class FakeStack:
    """A stack's folder with parts that are a few lines each, and `up` on it."""

    wait_for = staticmethod(wait_for)

    def __init__(self, root: Path, name: str = "small", base: int | None = None) -> None:
        self.root = root
        self.name = name
        self.base = base or free_base()
        self.process: subprocess.Popen[str] | None = None
        root.mkdir(parents=True, exist_ok=True)
        self._write()

    def _write(self) -> None:
        base = self.base
        (self.root / "focushub.toml").write_text(
            f"""
[stack]
name = "{self.name}"
[load-balancer]
port = {base}
[gateway]
port = {base + 3}
replicas = 2
[services.auth]
port = {base + 1}
database = "{self.name}_auth"
prefixes = ["/v1/auth"]
[services.task]
port = {base + 2}
database = "{self.name}_tasks"
prefixes = ["/v1/tasks"]
"""
        )
        (self.root / ".env.example").write_text(ENV_EXAMPLE)
        for folder, package in (
            ("auth-service", "auth_service"),
            ("task-service", "task_service"),
            ("gateway", "gateway_app"),
            ("load-balancer", "load_balancer"),
        ):
            home = self.root / folder / package
            home.mkdir(parents=True)
            (home / "__init__.py").touch()
            (home / "__main__.py").write_text(PART)
            if folder.endswith("-service"):
                (home / "migrations").mkdir()
                (home / "migrations" / "0001_first.sql").write_text("CREATE TABLE first (id integer);\n")

    @property
    def env(self) -> dict[str, str]:
        """Everything in it is found again by its mark."""
        return {**os.environ, MARK: str(self.root)}

    def command(self, *arguments: str) -> list[str]:
        """A `focushub` command on this stack."""
        return [sys.executable, "-c", "from focushub_generator.cli import main; main()", *arguments]

    def up(self, *options: str, **popen: Any) -> subprocess.Popen[str]:
        """Starts `focushub up` in the background; its output goes to ``up.out``."""
        with (self.root / "up.out").open("w") as out:
            self.process = subprocess.Popen(
                self.command("up", str(self.root), *options),
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self.env,
                text=True,
                **popen,
            )
        return self.process

    def up_and_ready(self, *options: str) -> subprocess.Popen[str]:
        """Starts `up` and waits for the last line of what it says when all is healthy."""
        process = self.up(*options)
        wait_for(
            lambda: "Ctrl-C stops everything." in self.output() or process.poll() is not None, 90, "the stack"
        )
        assert process.poll() is None, self.output()
        return process

    def run(self, *arguments: str, seconds: float = 90) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.env,
            text=True,
            capture_output=True,
            timeout=seconds,
            check=False,
        )

    def output(self) -> str:
        """What `up` has printed so far."""
        return (self.root / "up.out").read_text()

    def state(self) -> dict[str, Any]:
        """``state.json``, once it is there."""
        path = self.root / ".focushub" / "state.json"
        return dict(wait_for(lambda: path.exists() and json.loads(path.read_text()), 30, "state.json"))

    def part(self, name: str) -> dict[str, Any]:
        """A part's entry in the state."""
        return next(part for part in self.state()["parts"] if part["name"] == name)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 30) -> int:
        """Ends `up` by a signal; its exit code. A test that is about the time says how long that may take."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def processes(self) -> dict[int, str]:
        """Every living process of this stack, `up` and guard included, with what it is."""
        found = {}
        data = [
            self.root,
            *(path.resolve() for path in (self.root / ".focushub").glob("*") if path.is_symlink()),
        ]
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if folder.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "Z":
                    continue
                marked = f"{MARK}={self.root}\0".encode() in folder.joinpath("environ").read_bytes()
                where = folder.joinpath("cwd").readlink()
                if marked or any(where.is_relative_to(place) for place in data):
                    found[int(folder.name)] = (
                        folder.joinpath("cmdline").read_text().replace("\0", " ").strip()
                    )
        found.pop(os.getpid(), None)
        return found

    def clean_up(self) -> None:
        """Ends whatever a failed test has left, and removes data that had to lie elsewhere."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not self.processes(), 20)
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        for path in (self.root / ".focushub").glob("*"):
            if path.is_symlink():
                shutil.rmtree(path.resolve().parent, ignore_errors=True)


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[..., FakeStack]]:
    """Makes small stacks, and leaves nothing of them."""
    made: list[FakeStack] = []

    def make(name: str, *, root: Path | None = None, base: int | None = None) -> FakeStack:
        made.append(FakeStack(root or tmp_path / name, name, base))
        return made[-1]

    yield make
    for found in made:
        found.clean_up()


@pytest.fixture
def stack(make_stack: Callable[..., FakeStack]) -> FakeStack:
    """A small stack in a folder of its own."""
    return make_stack("small")


@pytest.fixture
def open_stack(make_stack: Callable[..., FakeStack]) -> Iterator[FakeStack]:
    """A small stack in a folder that every user may enter: as root, too, its data lie in it."""
    with tempfile.TemporaryDirectory(prefix="focushub-test-") as folder:
        Path(folder).chmod(0o755)
        found = make_stack("open", root=Path(folder) / "open")
        yield found
        found.clean_up()
