"""What a service weighs while nobody asks it anything."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest

from focushub_core.database.migrations import migrate
from focushub_core.embedded.ports import free_port

from .mortal import SCHEMA

MOST_MB = 50
UNUSED = ("argon2", "cryptography", "joserfc", "redis")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux divides shared pages among those who share")
def test_an_idle_service_weighs_less_than_50_mb(database_url: str) -> None:
    """With its database open and its health asked."""
    asyncio.run(migrate(database_url, (SCHEMA,)))
    port = free_port()
    environ = {"DATABASE_URL": database_url, "JWKS": "", "PORT": str(port), "LOG_LEVEL": "ERROR"}
    script = Path(__file__).with_name("mortal.py")
    with subprocess.Popen(
        [sys.executable, str(script)], env=os.environ | environ, cwd=script.parent
    ) as process:
        try:
            ready(f"http://127.0.0.1:{port}/readyz")
            assert psutil.Process(process.pid).memory_full_info().pss / 2**20 < MOST_MB
        finally:
            process.kill()


def test_what_reads_tokens_and_passwords_is_loaded_when_there_are_any() -> None:
    said = f"import sys, focushub_core.service; print([name for name in {UNUSED} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def ready(url: str) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            with urlopen(url, timeout=5) as answer:
                assert answer.status == 200
                return
        except URLError:
            assert time.monotonic() < end, "it did not start in time"
            time.sleep(0.05)
