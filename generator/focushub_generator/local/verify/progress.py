"""What is shown while it runs, on standard error: a bar on a terminal, elsewhere only what happens."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from focushub_generator.local.verify.ledger import Ledger, Outcome


class Show:
    """Lines as they come, and below them how far it is."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar = Progress(
            BarColumn(24),
            TextColumn("{task.completed:3.0f} of {task.total:.0f} s  {task.description}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Show:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over()

    def say(self, text: str) -> None:
        """One line that stays."""
        self._console.print(text, markup=False)

    def at(self, second: float, seconds: float, ledger: Ledger) -> None:
        """How far the load is."""
        sent, failed = len(ledger.attempts), ledger.count(Outcome.FAILED)
        words = f"{sent:,} requests, {failed:,} failed"
        if self._task is None:
            self._bar.start()  # not before: a bar without a task is an empty line
            self._task = self._bar.add_task(words, total=seconds)
        self._bar.update(self._task, completed=min(second, seconds), description=words)

    def over(self) -> None:
        """The load has ended: the bar goes."""
        if self._task is not None:
            self._bar.stop()
            self._bar.remove_task(self._task)
            self._task = None
