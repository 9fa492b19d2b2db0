"""Folders that a server's user may pass through, whoever runs the tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """pytest's own folders are closed to other users, and root runs servers as one."""
    with tempfile.TemporaryDirectory(prefix="focushub-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)
