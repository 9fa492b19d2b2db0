"""PostgreSQL 14 to 18: the database's tests, on each version that is here beside the one of the wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FOLDER = "/usr/lib/postgresql/{}/bin"
"""Where Debian's packages put the programs."""
TESTS = ("test_database.py", "test_provision.py", "test_schema.py")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("version", [14, 15, 16, 17, 18])
def test_the_databases_tests_pass_on(version: int) -> None:
    """``FOCUSHUB_PG_BIN`` names the programs; with it set all tests run on that version, so this one need not."""
    folder = Path(FOLDER.format(version))
    if "FOCUSHUB_PG_BIN" in os.environ:
        pytest.skip("FOCUSHUB_PG_BIN is set: all tests run on that version")
    if not (folder / "initdb").is_file():
        pytest.skip(f"there is no PostgreSQL {version} in {folder}")
    tests = [f"tests/database/{name}" for name in TESTS]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environ = os.environ | {"FOCUSHUB_PG_BIN": str(folder)}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
