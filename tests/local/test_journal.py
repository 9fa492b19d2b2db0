"""What a part prints is kept, bounded, and passed on."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from focushub_generator.local.journal import Journal, LogFile

Until = Callable[[Callable[[], object]], Awaitable[None]]


async def test_lines_are_kept_as_json_and_shown(tmp_path: Path, until: Until) -> None:
    shown: list[tuple[str, bytes]] = []
    journal = Journal("task-service", tmp_path, lambda part, raw: shown.append((part, raw)))
    os.write(journal.writer, b'{"ts": "t", "message": "one"}\nTraceback\n\n  half')
    await until(lambda: len(shown) == 2)
    os.write(journal.writer, b" a line")
    journal.close()
    kept = [json.loads(line) for line in (tmp_path / "task-service.log").read_bytes().splitlines()]
    assert [line["message"] for line in kept] == ["one", "Traceback", "  half a line"]
    assert [raw for _, raw in shown] == (tmp_path / "task-service.log").read_bytes().splitlines()
    assert (tmp_path / "task-service.log").stat().st_mode & 0o777 == 0o600


async def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    shown: list[bytes] = []
    journal = Journal("p", tmp_path, lambda _, raw: shown.append(raw))
    os.set_blocking(journal.writer, False)
    sent = 0
    async with asyncio.timeout(5):
        while not shown:
            sent += os.write(journal.writer, b"x" * 4096)
            await asyncio.sleep(0)
    assert sent < 1024 * 1024
    journal.close()


def test_a_log_file_turns_over_and_keeps_one_older(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "p.log", largest=100)
    for number in range(10):
        file.write(b"%039d\n" % number)
    file.close()
    numbers = [int(line) for name in ("p.log.1", "p.log") for line in (tmp_path / name).read_text().split()]
    assert numbers == [6, 7, 8, 9]


def test_a_full_disk_loses_lines_and_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = LogFile(tmp_path / "p.log")

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        file.write(b"one\ntwo\n")
    file.write(b"three\n")
    file.close()
    assert (file.lost, (tmp_path / "p.log").read_text()) == (2, "three\n")
