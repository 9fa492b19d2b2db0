"""What a starter needs to know of an embedded server, whichever it is."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from focushub_core.embedded import place
from focushub_core.embedded.account import Account, server_account
from focushub_core.embedded.ports import free_port
from focushub_core.errors import ConfigurationError, Unavailable

_POLL_S = 0.03


class EmbeddedServer(ABC):
    """A server on a folder of its own, on 127.0.0.1.

    ``data`` is the folder wanted; after `prepare` it is the one used, and ``notice`` says so in one line if they
    differ. ``port`` None takes a free one, which stays the same for the life of this object.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    host: ClassVar[str] = "127.0.0.1"

    def __init__(
        self, data: Path, *, port: int | None = None, password: str, run_as: str | None = None
    ) -> None:
        _check_password(password)
        self.data = Path(data)
        self.port = free_port() if port is None else port
        self.notice: str | None = None
        self._password = password
        self._run_as = run_as
        self._account: Account | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Make what the server needs, before each start; does nothing that is already done.

        Blocks for up to about a second when the data are made. Raises ConfigurationError.
        """

    @abstractmethod
    def command(self) -> list[str]:
        """The argument list; the first is an absolute path. Only after `prepare`."""

    @abstractmethod
    def url(self) -> str:
        """How to connect, password included: not for logs."""

    @abstractmethod
    async def ask(self, timeout: float) -> bool:
        """Whether the server answers a real question within ``timeout`` seconds.

        Raises ConfigurationError when it answers that the password is wrong.
        """

    @property
    def account(self) -> Account | None:
        """The user to start it as, None for the one that runs this. Only after `prepare`."""
        return self._account

    def environment(self) -> dict[str, str]:
        """The whole environment: nothing of ours (``PG*`` variables, secrets) reaches the server."""
        kept = {
            name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ
        }
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **kept}

    def popen_options(self) -> dict[str, Any]:
        """Arguments for `subprocess.Popen` or `asyncio.create_subprocess_exec`: env, cwd, umask, session, user."""
        options = {"env": self.environment(), "cwd": self.data, "umask": 0o077, "start_new_session": True}
        return options | (self._account.popen_options() if self._account else {})

    async def wait_ready(self, deadline: float = 10.0) -> None:
        """Return once the server answers; raise Unavailable after ``deadline`` seconds."""
        end = time.monotonic() + deadline
        while (left := end - time.monotonic()) > 0:
            if await self.ask(min(left, 1.0)):
                return
            await asyncio.sleep(_POLL_S)
        raise Unavailable(f"{self.name} on port {self.port} did not answer within {deadline:g} s")

    def _settle(self) -> None:
        self._account = server_account(self.data, self._run_as)
        settled = place.settle(self.data, self._account)
        self.data, self.notice = settled.data, settled.notice or self.notice


def _check_password(password: str) -> None:
    if not (password.isascii() and password.isprintable() and password.strip()):
        raise ConfigurationError("a server's password is printable ASCII and not empty")
