"""Carries a plan out: everything into a folder that nobody looks at, then one rename.

Rules that hold here:

* The target appears whole or not at all; whatever fails or interrupts on the way, nothing is left behind.
* A folder with anything in it is left alone.
* Nothing is written outside the target and its staging folder: no hook runs, and cookiecutter's own entry point, which
  writes to the user's home, is never called. The working directory is the caller's again afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from focushub_core.errors import ConfigurationError
from focushub_core.stack import FILE_NAME

from .plan import Plan, plan
from .prepare import prepare
from .resources import data_root, inventory
from .spec import StackSpec

TEMPLATE = "templates/stack"
RUN_BITS = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def generate(spec: StackSpec, target: Path) -> None:
    """Writes the stack ``spec`` with its ``.env`` and ``vendor/`` to ``target``, which is absent or empty.

    Raises `ConfigurationError` when the target is anything else, `OSError` when the disk refuses.
    """

    def make(staging: Path) -> Path:
        stack = carry_out(plan(spec, inventory()), staging)
        prepare(stack)
        return stack

    write_whole(target.resolve(), make)


def carry_out(steps: Plan, parent: Path) -> Path:
    """Renders and copies the plan's files into a new folder in ``parent``, called as the stack; gives that folder."""
    data = data_root()
    stack = _render(data / TEMPLATE, steps.values, parent)
    for copy in steps.copies:
        _copy(data / copy.source, stack / copy.target)
    return stack


def _render(template: Path, values: Mapping[str, Any], parent: Path) -> Path:
    """Has cookiecutter render ``template`` into a new folder in ``parent``."""
    from cookiecutter.generate import generate_files

    settings = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))
    context = {"cookiecutter": {**settings, **values}}
    return Path(generate_files(template, context, parent, accept_hooks=False, keep_project_on_failure=True))


def _copy(source: Path, target: Path) -> None:
    """One file with its run bit; its other permissions are those of any new file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
    if source.stat().st_mode & stat.S_IXUSR:
        mode = target.stat().st_mode
        target.chmod(mode | (mode >> 2 & RUN_BITS))  # whoever may read it may run it


def refuse_unless_free(target: Path) -> None:
    """Raises `ConfigurationError` unless ``target`` is absent or an empty folder."""
    if not target.exists():
        return
    if not target.is_dir():
        raise ConfigurationError(f"{target} is a file; name a folder that is absent or empty")
    found = next(target.iterdir(), None)
    if found is not None:
        raise ConfigurationError(
            f"{target} is not empty (it holds {found.name}) and was left alone; name a folder that is absent or empty"
        )


def write_whole(target: Path, make: Callable[[Path], Path]) -> None:
    """Lets ``make`` build a folder in the staging folder that it is given, then moves it to ``target`` at once."""
    refuse_unless_free(target)
    in_place = _must_stay(target)
    with _parents(target), _staging(target if in_place else target.parent) as staging:
        made = make(staging)
        if in_place:
            _move_into(made, target)
        else:
            _rename(made, target)


def _must_stay(target: Path) -> bool:
    """Whether ``target`` itself cannot give way: someone stands in it, it is a mount, or its parent is closed to us."""
    if not target.exists():
        return False
    return target.is_mount() or Path.cwd().is_relative_to(target) or not os.access(target.parent, os.W_OK)


@contextmanager
def _parents(target: Path) -> Iterator[None]:
    """The folders above ``target`` while it is made; those that were missing go again on failure."""
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def _staging(parent: Path) -> Iterator[Path]:
    staging = Path(tempfile.mkdtemp(dir=parent, prefix=".focushub-"))
    try:
        yield staging
    finally:
        shutil.rmtree(staging)


def _rename(made: Path, target: Path) -> None:
    """One rename; it takes the place of an empty folder, and fails by itself on one that was filled meanwhile."""
    if target.exists():
        made.chmod(stat.S_IMODE(target.stat().st_mode))
    made.rename(target)


def _move_into(made: Path, target: Path) -> None:
    """Moves each entry of ``made`` into ``target``, ``focushub.toml`` last; on failure all are taken back."""
    moved: list[Path] = []
    try:
        for entry in sorted(made.iterdir(), key=lambda entry: entry.name == FILE_NAME):
            moved.append(entry.rename(target / entry.name))
    except BaseException:
        for entry in moved:
            entry.rename(made / entry.name)
        raise
