"""An embedded Valkey (which speaks Redis' protocol) for development and tests.

The password stands in ``valkey.conf`` (0600), written anew before each start. What was acknowledged a second ago
survives kill -9 (an append-only file, synced every second).
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from urllib.parse import quote

from focushub_core.embedded import place
from focushub_core.embedded.binaries import Binaries, find_valkey, readable_by
from focushub_core.embedded.server import EmbeddedServer
from focushub_core.errors import ConfigurationError

_SETTINGS = {
    "bind": "127.0.0.1",
    "protected-mode": "yes",
    "daemonize": "no",
    "logfile": '""',
    "loglevel": "notice",
    "always-show-logo": "no",
    "save": '""',
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory": "128mb",
    "maxmemory-policy": "volatile-ttl",  # counters that are about to lapse go first; what has no TTL stays
}


class EmbeddedValkey(EmbeddedServer):
    """A Valkey server with one password."""

    name = "Valkey"
    stop_signal = signal.SIGTERM

    def __init__(
        self, data: Path, *, port: int | None = None, password: str, run_as: str | None = None
    ) -> None:
        super().__init__(data, port=port, password=password, run_as=run_as)
        self._binaries: Binaries | None = None

    def prepare(self) -> None:
        """Make the folder and write ``valkey.conf``."""
        self._settle()
        self._binaries = readable_by(self._account, find_valkey(), "valkey-server", place.STATE / "bin")
        if not self.data.exists():
            place.own_folder(self.data, self._account)
        settings = {**_SETTINGS, "port": str(self.port), "dir": _quoted(str(self.data))}
        settings["requirepass"] = _quoted(self._password)
        text = "".join(f"{name} {value}\n" for name, value in settings.items())
        place.write_private(self.data / "valkey.conf", text, self._account)

    def command(self) -> list[str]:
        if self._binaries is None:
            raise ConfigurationError("prepare() comes before command()")
        return [str(self._binaries.program("valkey-server")), str(self.data / "valkey.conf")]

    def url(self, database: int = 0) -> str:
        return f"redis://:{quote(self._password, safe='')}@{self.host}:{self.port}/{database}"

    async def ask(self, timeout: float) -> bool:
        try:
            async with asyncio.timeout(timeout):
                answer = await self._ping()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return False
        if answer.startswith((b"-WRONGPASS", b"-NOAUTH", b"-ERR")):
            raise ConfigurationError(f"the server on port {self.port} has another password")
        return answer.startswith(b"+OK\r\n+PONG")

    async def _ping(self) -> bytes:
        """AUTH and PING in one write; a server that still loads its file answers ``-LOADING``."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            password = self._password.encode()
            writer.write(b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%b\r\n*1\r\n$4\r\nPING\r\n" % (len(password), password))
            return await reader.readuntil(b"\r\n") + await reader.readuntil(b"\r\n")
        finally:
            writer.close()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
