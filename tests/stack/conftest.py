"""A freshly generated stack under a name of its own, running outside the checkout."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FOCUSHUB = [sys.executable, "-m", "focushub_generator"]
HTTP_PORTS = (8080, 3000, 3001, 3002, 3003, 3004, 3005, 3006, 3100)


def free_offset() -> int:
    """A port offset at which every HTTP port of a stack is free."""
    for offset in range(200, 20000, 200):
        if all(_is_free(port + offset) for port in HTTP_PORTS):
            return offset
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) != 0


class Stack:
    """A generated stack that `focushub up` runs."""

    def __init__(self, root: Path, offset: int) -> None:
        self.root = root
        self.offset = offset
        self.url = f"http://127.0.0.1:{8080 + offset}"
        self.log = root.parent / "up.log"
        with self.log.open("w") as log:
            command = [*FOCUSHUB, "up", str(root), "--port-offset", str(offset)]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def wait_until_ready(self) -> None:
        """Returns when `up` says that all is healthy."""
        self.wait_for(lambda: "Ctrl-C stops everything" in self.log.read_text(), 90)

    def wait_for(self, condition: Callable[[], Any], seconds: float) -> Any:
        """The condition's first true value; fails, with the log's end, when there is none in time."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert self.process.poll() is None, f"up has ended:\n{self.log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"waited {seconds} s:\n{self.log.read_text()[-3000:]}"
            time.sleep(0.05)
        return found

    def get(self, url: str) -> tuple[int, Any]:
        """Status and JSON of a GET."""
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def parts(self) -> dict[str, Any]:
        """What `focushub status` says, by part."""
        done = subprocess.run([*FOCUSHUB, "status", str(self.root), "--json"], stdout=subprocess.PIPE)
        return {part["name"]: part for part in json.loads(done.stdout)["parts"]}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A Python script of the stack's."""
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, timeout=120)

    def stop(self) -> int:
        """Ends `up` as a service manager would."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stack ``shop`` as the installed library writes it; a module's own `root` may change it before it starts."""
    root = tmp_path_factory.mktemp("stacks") / "shop"
    generate = [*FOCUSHUB, "generate", str(root), "--name", "shop"]
    home = tmp_path_factory.mktemp("home")
    subprocess.run(generate, check=True, env=os.environ | {"HOME": str(home)}, stdout=subprocess.DEVNULL)
    assert list(home.iterdir()) == []
    return root


@pytest.fixture(scope="module")
def shop(root: Path) -> Iterator[Stack]:
    """That stack, healthy."""
    stack = Stack(root, free_offset())
    try:
        stack.wait_until_ready()
        yield stack
    finally:
        if stack.process.poll() is None:
            stack.stop()
