"""What `up` prints, and that printing stops nobody."""

from __future__ import annotations

import io
import os
import threading

from focushub_generator.local import console as module
from focushub_generator.local.console import INFO, Console, table


def line(message: str, level: str = "info") -> bytes:
    return f'{{"ts": "", "level": "{level}", "message": "{message}"}}'.encode()


def test_parts_are_heard_from_their_level_on() -> None:
    stream = io.StringIO()
    console = Console(stream)
    console.show("gateway-1", line("too early"))
    console.show("gateway-1", line("alarm", "warning"))
    console.show("setup", line("progress"))
    console.close()
    later = Console(stream)
    later.level = INFO
    later.show("gateway-1", line("request"))
    later.show("postgres", line("checkpoint"))
    later.close()
    assert [row.split(maxsplit=1)[1] for row in stream.getvalue().splitlines()] == [
        "WARNING alarm",
        "progress",
        "request",
    ]


class Stuck(io.StringIO):
    """A terminal that was stopped by Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, text: str) -> int:
        self.go.wait(10)
        return super().write(text)


def test_a_terminal_that_does_not_read_loses_lines_and_stops_nobody() -> None:
    stream = Stuck()
    console = Console(stream)
    console.level = INFO
    for number in range(module.BACKLOG * 2):
        console.show("p", line(f"{number}"))
    console.say("important")
    stream.go.set()
    console.close()
    shown = stream.getvalue()
    assert "important" in shown
    assert "lines not shown; `focushub logs` has them" in shown
    assert len(shown.splitlines()) < module.BACKLOG * 2


def test_it_goes_quiet_when_nobody_reads_any_more() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        console = Console(stream)
        console.say("into the void")
        console.say("again")
        console.close()


def test_a_table_is_aligned() -> None:
    """Words begin under each other, numbers end so."""
    rows = [("part", "version", "s"), ("postgres", "18.6", "112.5"), ("gateway-1", "0.1.0", "-")]
    assert table(rows) == [
        "part       version      s",
        "postgres   18.6     112.5",
        "gateway-1  0.1.0        -",
    ]
