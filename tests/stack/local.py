"""A stack that `focushub up` runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from .runtime import FOCUSHUB, Answer, Part, Runtime, fetch

HTTP_PORTS = (8080, 3000, 3001, 3002, 3003, 3004, 3005, 3006, 3100)


class Local(Runtime):
    """`focushub up` in the background, at a port offset that is free."""

    gateways = 2

    def __init__(self, root: Path) -> None:
        self.root = root
        offset = free_offset()
        self.url = f"http://127.0.0.1:{8080 + offset}"
        self.log = root.parent / "up.log"
        self._urls: dict[str, str | None] = {}
        with self.log.open("w") as log:
            command = [*FOCUSHUB, "up", str(root), "--port-offset", str(offset)]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def wait_until_ready(self) -> None:
        """Returns when `up` says that all is healthy."""
        self.wait_for(lambda: "Ctrl-C stops everything" in self.why(), 90)

    def wait_for(self, condition: Callable[[], Any], seconds: float) -> Any:
        def still_running() -> Any:
            assert self.process.poll() is None, f"up has ended:\n{self.why()[-3000:]}"
            return condition()

        return super().wait_for(still_running, seconds)

    def why(self) -> str:
        return self.log.read_text()

    def parts(self) -> dict[str, Part]:
        return {
            part["name"]: Part(part["name"], part["status"], part["pid"], part["restarts"], part["url"])
            for part in self._status()
        }

    def ask(self, name: str, path: str) -> Answer:
        if name not in self._urls:  # they stay for its life
            self._urls = {part.name: part.url for part in self.parts().values()}
        url = self._urls[name]
        started = time.monotonic()
        status, body, _ = fetch(f"{url}{path}")
        return Answer(status, body, time.monotonic() - started)

    def kill(self, name: str) -> None:
        pid = self.parts()[name].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        family = [psutil.Process(self.parts()[name].pid)]
        family += family[0].children(recursive=True)
        for process in family:
            process.suspend()
        try:
            yield
        finally:
            for process in family:
                process.resume()

    def lines_about(self, request_id: str) -> str:
        return self.run("-m", "focushub_generator", "logs", str(self.root), "--request", request_id).stdout

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        return self.run("-c", code)

    def stop(self) -> list[str]:
        if self.process.poll() is not None:
            return []
        family = psutil.Process(self.process.pid).children(recursive=True)
        assert len(family) > 9
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(15)
        _, alive = psutil.wait_procs(family, timeout=2)
        return [f"up: exit status {status}" for _ in range(status != 0)] + [str(process) for process in alive]

    def _status(self) -> list[dict[str, Any]]:
        done = subprocess.run([*FOCUSHUB, "status", str(self.root), "--json"], stdout=subprocess.PIPE)
        return list(json.loads(done.stdout)["parts"])


def free_offset() -> int:
    """A port offset at which every HTTP port of a stack is free, and no other process' that runs tests meanwhile.

    They lie below those that `free_port` gives to servers, which could else take one before the part that it is for.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 2
    for offset in range(200 + 40 * worker, 1900, 200):
        if all(_is_free(port + offset) for port in HTTP_PORTS):
            return offset
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) != 0
