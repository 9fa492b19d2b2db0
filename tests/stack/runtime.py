"""A running stack as a test sees it, whatever it runs on: processes (`local`) or containers (`compose`)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

LOCAL = pytest.param("local", marks=pytest.mark.stack)
DEVELOPMENT = pytest.param("development", marks=pytest.mark.docker)
PRODUCTION = pytest.param("production", marks=pytest.mark.docker)
"""The kinds of stack, for ``parametrize("stack", [...], indirect=True)``."""

FOCUSHUB = [sys.executable, "-m", "focushub_generator"]
SERVICES = ("auth-service", "task-service", "focus-service", "habit-service")


class Part(NamedTuple):
    """One part: ``status`` is ``healthy`` when it is well, ``pid`` its process on this machine, ``url`` where it is
    published."""

    name: str
    status: str
    pid: int | None
    restarts: int
    url: str | None = None


class Answer(NamedTuple):
    """What a part said, and after how long."""

    status: int
    body: Any
    seconds: float


class Runtime(ABC):
    """``root`` is the stack's folder, ``url`` its front door, ``gateways`` how many gateways it has."""

    root: Path
    url: str
    gateways: int

    @abstractmethod
    def parts(self) -> dict[str, Part]:
        """All parts as they are now, by name: ``task-service``, ``gateway-1``, ``postgres``, ..."""

    @abstractmethod
    def ask(self, name: str, path: str) -> Answer:
        """A part's own answer, behind everybody's back."""

    @abstractmethod
    def kill(self, name: str) -> None:
        """Kills a part's process as a lack of memory would: nobody is told."""

    @abstractmethod
    def frozen(self, name: str) -> AbstractContextManager[None]:
        """A part that is there and does nothing."""

    @abstractmethod
    def lines_about(self, request_id: str) -> str:
        """The log lines about one request."""

    @abstractmethod
    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Runs ``code`` where the stack's file and every database's address are at hand."""

    @abstractmethod
    def stop(self) -> list[str]:
        """Ends the stack as its owner would; names whatever did not end well, or at all."""

    def why(self) -> str:
        """What to show when it was waited for in vain."""
        return ""

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any, Any]:
        """Status, JSON and header fields of a GET through the front door."""
        return fetch(self.url + path, headers)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A Python script of the stack's."""
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, timeout=120)

    def wait_for(self, condition: Callable[[], Any], seconds: float) -> Any:
        """The condition's first true value; fails, and says `why`, when there is none in time."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"waited {seconds} s:\n{self.why()[-3000:]}"
            time.sleep(0.05)
        return found

    def is_well(self) -> bool:
        """Whether every part is healthy."""
        return {part.status for part in self.parts().values()} == {"healthy"}


def fetch(url: str, headers: dict[str, str] | None = None) -> tuple[int, Any, Any]:
    """Status, JSON and header fields of a GET."""
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers or {}), timeout=20
        ) as response:
            return response.status, json.load(response), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers
