"""Compares a generated stack with a fresh generation, both ways: bytes and run bits, missing and extra files.

python -m focushub_generator.compare examples/focushub            exit 1 if it drifted, naming each file
python -m focushub_generator.compare examples/focushub --write    makes it what would be generated now
"""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import click

from focushub_core import stack
from focushub_core.errors import FocusHubError

from .plan import plan
from .render import carry_out
from .resources import inventory, is_kept
from .spec import stack_spec


class Difference(NamedTuple):
    """One file that is not as expected, by its path from the stack's folder."""

    file: str
    kind: Literal["missing", "extra", "content", "run bit"]

    def __str__(self) -> str:
        words = {
            "missing": "is missing",
            "extra": "is extra",
            "content": "differs",
            "run bit": "has another run bit",
        }
        return f"{self.file} {words[self.kind]}"


def differences(expected: Path, actual: Path) -> list[Difference]:
    """What would have to change in the folder ``actual`` for it to be as ``expected``, sorted by file."""
    wanted, found = set(_files(expected)), set(_files(actual))
    return sorted(
        [
            *(Difference(file, "missing") for file in wanted - found),
            *(Difference(file, "extra") for file in found - wanted),
            *(change for file in wanted & found for change in _changes(expected, actual, file)),
        ]
    )


def _files(root: Path) -> Iterator[str]:
    """Every file or link below ``root`` that git does not ignore."""
    for path in root.rglob("*"):
        inside = path.relative_to(root)
        if (path.is_symlink() or not path.is_dir()) and is_kept(inside.parts):
            yield inside.as_posix()


def _changes(expected: Path, actual: Path, file: str) -> Iterator[Difference]:
    here, there = expected / file, actual / file
    if here.is_symlink() != there.is_symlink() or here.read_bytes() != there.read_bytes():
        yield Difference(file, "content")
    if _runs(here) != _runs(there):
        yield Difference(file, "run bit")


def _runs(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IXUSR)


def rewrite(expected: Path, actual: Path, changes: list[Difference]) -> None:
    """Makes ``actual`` as ``expected`` in just these ``changes``; folders that become empty go."""
    for change in changes:
        target = actual / change.file
        target.unlink(missing_ok=True)
        if change.kind == "extra":
            _remove_empty(target.parent, actual)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(expected / change.file, target)


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


@click.command(help="Compares the stack in DIR with what would be generated now under its name.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--write", is_flag=True, help="Make DIR what would be generated now. What git ignores stays.")
def main(directory: Path, write: bool) -> None:
    """The command line of this module; exit 1 if anything differs, or was found wrong."""
    try:
        changes = _compare(directory, write)
    except FocusHubError as error:
        raise click.ClickException(str(error)) from error
    for change in changes:
        click.echo(change)
    if changes and not write:
        click.echo(f"To regenerate: python -m focushub_generator.compare {directory} --write")
        raise SystemExit(1)


def _compare(directory: Path, write: bool) -> list[Difference]:
    is_new = write and not (directory / stack.FILE_NAME).exists()
    name = directory.resolve().name if is_new else stack.load(directory).name
    with tempfile.TemporaryDirectory(prefix="focushub-") as scratch:
        fresh = carry_out(plan(stack_spec(name), inventory()), Path(scratch))
        changes = differences(fresh, directory)
        if write:
            rewrite(fresh, directory, changes)
    return changes


if __name__ == "__main__":
    main()
