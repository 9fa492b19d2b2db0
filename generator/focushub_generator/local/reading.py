"""`focushub logs`: what the parts printed, from ``.focushub/logs``, in order of time."""

from __future__ import annotations

import heapq
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from focushub_core.errors import ConfigurationError
from focushub_generator.local import lines
from focushub_generator.local.lock import folder_of

POLL = 0.2

Line = dict[str, Any]
Wanted = Callable[[Line], bool]


def show(root: Path, *, service: str | None, request: str | None, follow: bool) -> int:
    """Prints the lines of one part or of all, of one request or of all; with ``follow`` until Ctrl-C."""
    files = log_files(root, service)
    printer = Printer(files)
    wanted: Wanted = lambda line: request is None or line.get("request_id") == request  # noqa: E731
    for line in heapq.merge(*(_read(files[part], part, wanted) for part in files), key=_time):
        printer(line)
    if follow:
        _follow(root, service, wanted, printer)
    return 0


def log_files(root: Path, service: str | None) -> dict[str, Path]:
    """Each part's log by its name. Raises `ConfigurationError` for a part that has none."""
    folder = folder_of(root) / "logs"
    files = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if not files:
        raise ConfigurationError(f"there are no logs in {folder}; `focushub up` writes them")
    if service is None:
        return files
    chosen = {part: path for part, path in files.items() if service in {part, part.rpartition("-")[0]}}
    chosen = {service: files[service]} if service in files else chosen
    if not chosen:
        raise ConfigurationError(f"{service} has no log; there are {', '.join(files)}")
    return chosen


class Printer:
    """Writes lines for people, one colour a part where a terminal shows it."""

    def __init__(self, parts: dict[str, Path]) -> None:
        self._colours = {part: lines.colour_of(number) for number, part in enumerate(parts)}
        self._width = max(map(len, parts))
        self._colourful = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def __call__(self, line: Line) -> None:
        colour = self._colours.get(line["part"], 37) if self._colourful else None
        sys.stdout.write(lines.readable(line, width=self._width, colour=colour) + "\n")


def _read(path: Path, part: str, wanted: Wanted) -> Iterator[Line]:
    """A part's lines, the older file's first."""
    for file in (path.with_name(f"{path.name}.1"), path):
        if file.exists():
            with file.open("rb") as opened:
                yield from _lines(opened, part, wanted)


def _lines(raw: Any, part: str, wanted: Wanted) -> Iterator[Line]:
    for text in raw:
        found = lines.parse(text)
        if found is not None:
            line = {**found, "part": part}
            if wanted(line):
                yield line


def _time(line: Line) -> str:
    """RFC 3339 in UTC with milliseconds sorts as text."""
    return str(line.get("ts", ""))


def _follow(root: Path, service: str | None, wanted: Wanted, printer: Printer) -> None:
    places = {path: path.stat().st_size for path in log_files(root, service).values()}
    while True:
        sys.stdout.flush()
        time.sleep(POLL)
        fresh: list[Line] = []
        for part, path in log_files(root, service).items():
            text, places[path] = _grown(path, places.get(path, 0))
            fresh += _lines(text, part, wanted)
        for line in sorted(fresh, key=_time):
            printer(line)


def _grown(path: Path, place: int) -> tuple[list[bytes], int]:
    """The whole lines after ``place``, and where they end; a file that became shorter was begun anew."""
    size = path.stat().st_size
    place = place if size >= place else 0
    with path.open("rb") as file:
        file.seek(place)
        data = file.read(size - place)
    end = data.rfind(b"\n") + 1
    return data[:end].splitlines(), place + end
