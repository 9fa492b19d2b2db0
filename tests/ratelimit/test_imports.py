"""What is imported costs memory in every process."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["focushub_core.ratelimit", "focushub_core.balancer", "focushub_core.proxy.loadbalancer"]
)
def test_neither_redis_nor_a_database_driver_nor_cryptography_is_loaded(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"redis", "asyncpg", "joserfc", "cryptography", "argon2", "click"} & set(loaded)
