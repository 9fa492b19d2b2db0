"""The embedded Valkey, run for real."""

from __future__ import annotations

import signal
import stat
import time
from pathlib import Path

import psutil
import pytest
from redis import asyncio as aioredis

from focushub_core.embedded import EmbeddedValkey, running
from focushub_core.errors import ConfigurationError, Unavailable

PASSWORD = 'pass "WORD" \\ 123'


async def test_data_outlive_a_stop_and_a_kill_a_second_later(folder: Path) -> None:
    """The append-only file is synced every second."""
    server = EmbeddedValkey(folder / "valkey", password=PASSWORD)
    with running(server) as process:
        async with aioredis.from_url(server.url()) as client:
            await client.set("one", "1")
        process.stop(signal.SIGKILL)
        process.start()
        async with aioredis.from_url(server.url()) as client:
            assert await client.get("one") == b"1"


async def test_the_password_is_needed_and_stands_in_a_private_file_only(folder: Path) -> None:
    server = EmbeddedValkey(folder / "valkey", password=PASSWORD)
    with running(server, folder / "log") as process:
        other = EmbeddedValkey(folder / "valkey", port=server.port, password="another")
        with pytest.raises(ConfigurationError, match="another password"):
            await other.wait_ready(5)
        shown = psutil.Process(process.pid)
        assert PASSWORD not in " ".join(shown.cmdline()) + str(shown.environ()) + (folder / "log").read_text()
        assert stat.S_IMODE((server.data / "valkey.conf").stat().st_mode) == 0o600
        assert [one.laddr.ip for one in shown.net_connections("inet") if one.status == "LISTEN"] == [
            "127.0.0.1"
        ]


async def test_a_server_that_is_not_there_is_unavailable_at_the_deadline(folder: Path) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable):
        await EmbeddedValkey(folder / "valkey", password=PASSWORD).wait_ready(0.2)
    assert time.monotonic() - started < 1


def test_a_server_is_prepared_before_it_is_started(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="prepare"):
        EmbeddedValkey(folder / "valkey", password=PASSWORD).command()
