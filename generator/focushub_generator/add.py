"""Adds a service to a stack that its owner has edited: everything, or nothing.

Rules that hold here:

* A folder and a few files are new; others only get longer, in place, so that modes, owners and links stay.
* What fails or interrupts on the way is undone, in reverse. ``focushub.toml`` comes last: what is not said there is
  no part of the stack.
* Two at once: the second waits for the first (``flock`` on the stack's folder) and sees what it did.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from focushub_core import stack as stacks
from focushub_core.errors import ConfigurationError
from focushub_core.settings import read_layers
from focushub_core.stack import ServiceEntry, Stack

from .addition import (
    NGINX_PORT,
    Addition,
    addition,
    filled,
    password_of,
    with_include,
    with_scraping,
    with_secret,
    with_table,
    words,
)
from .resources import data_root, files_below
from .secrets import ENV, EXAMPLE, fresh_secret

TEMPLATE = "templates/service"
LISTS = {
    "compose/services.yml": "docker-compose.yml",
    "compose/services.development.yml": "docker-compose.override.yml",
}
"""Lists of Compose files, and who takes them in."""
SCRAPING = "monitoring/prometheus/prometheus.yml"
MANIFESTS = "kubernetes/base/services.yaml"


class Added(NamedTuple):
    """What was done: paths from the stack's folder; ``advice`` is what is left to do by hand."""

    stack: Stack
    service: ServiceEntry
    new: tuple[str, ...]
    longer: tuple[str, ...]
    advice: tuple[str, ...]


def add(root: Path, name: str, port: int | None = None) -> Added:
    """Adds the service ``name`` to the stack in ``root``.

    Raises `ConfigurationError` for what is wrong or taken, `OSError` when the disk refuses; then nothing has changed.
    """
    with _locked(root):
        added = addition(stacks.load(root), name, port, nginx=_nginx_port(root))
        texts = _new_files(added)
        new = tuple(sorted({_entry(file, added.service) for file in texts}))
        _refuse_there(root, new)
        changes = dict(_changes(root, added))
        _carry_out(root, new, texts, changes)
        advice = tuple(_advice(root, changes))
    return Added(*added, new, tuple(sorted(changes)), advice)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    folder = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _nginx_port(root: Path) -> int:
    said = read_layers(root).get("NGINX_PORT", "")
    return int(said) if said.isdecimal() else NGINX_PORT


def _new_files(added: Addition) -> dict[str, str]:
    """The files of the template under their new names, filled."""
    folder, replaced = data_root() / TEMPLATE, words(added)
    return {
        filled(file, replaced): filled((folder / file).read_text(encoding="utf-8"), replaced)
        for file in files_below(folder)
    }


def _entry(file: str, service: ServiceEntry) -> str:
    """What is moved into the stack at once: the service's folder, or a file in a folder that all share."""
    return service.name if file.startswith(f"{service.name}/") else file


def _refuse_there(root: Path, new: tuple[str, ...]) -> None:
    for entry in new:
        if os.path.lexists(root / entry):
            raise ConfigurationError(
                f"{entry} is there already and was left alone; remove it or take another name"
            )


def _changes(root: Path, added: Addition) -> Iterator[tuple[str, tuple[str, str]]]:
    """Files that get longer: before and after. ``.env`` only where it lacks the secret."""
    name = password_of(added.service)
    for file, secret in ((EXAMPLE, ""), (ENV, fresh_secret())):
        before = _text(root / file)
        if before is not None and not _says(before, name):
            yield file, (before, with_secret(before, name, secret))
    for file in LISTS:
        before = _text(root / file)
        fragment = file.replace("services", added.service.name)
        if before is not None:
            yield file, (before, with_include(before, fragment))
    before = _text(root / SCRAPING)
    if before is not None and (after := with_scraping(before, added.service)) is not None:
        yield SCRAPING, (before, after)
    before = (root / stacks.FILE_NAME).read_bytes().decode("utf-8")
    yield stacks.FILE_NAME, (before, with_table(before, added))


def _text(path: Path) -> str | None:
    """A file's text with its line ends as they are; ``None`` where there is none."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path.name} is not UTF-8") from None


def _says(text: str, name: str) -> bool:
    return any(line.startswith(f"{name}=") for line in text.splitlines())


def _carry_out(
    root: Path, new: tuple[str, ...], texts: dict[str, str], changes: dict[str, tuple[str, str]]
) -> None:
    with ExitStack() as undo:
        staging = Path(tempfile.mkdtemp(dir=root, prefix=".focushub-"))
        undo.callback(shutil.rmtree, staging)
        for file, text in texts.items():
            (staging / file).parent.mkdir(parents=True, exist_ok=True)
            (staging / file).write_text(text, encoding="utf-8", newline="\n")
        for entry in new:
            _move(staging / entry, root / entry, undo)
        for file, (before, after) in changes.items():
            undo.callback(_rewrite, root / file, after, before)
            _rewrite(root / file, before, after)
        undo.pop_all()
    shutil.rmtree(staging, ignore_errors=True)


def _move(made: Path, target: Path, undo: ExitStack) -> None:
    if not target.parent.is_dir():
        target.parent.mkdir()
        undo.callback(target.parent.rmdir)
    made.rename(target)
    undo.callback(target.rename, made)


def _rewrite(path: Path, before: str, after: str) -> None:
    """In place, from where the texts part; what comes before that is not touched."""
    old, new = before.encode(), after.encode()
    shorter = min(len(old), len(new))
    same = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    with path.open("r+b") as file:
        file.seek(same)
        file.write(new[same:])
        file.truncate(len(new))


def _advice(root: Path, changes: Collection[str]) -> Iterator[str]:
    """What an owner who has changed these files has to see to."""
    for file, owner in LISTS.items():
        text = _text(root / owner)
        if text is not None and (file not in text or file not in changes):
            yield f"{owner} does not include {file}: Compose will not see the service until it does"
    if (root / SCRAPING).is_file() and SCRAPING not in changes:
        yield f"{SCRAPING} does not end with its jobs: Prometheus will not see the service until you add one"
    if (root / MANIFESTS).is_file():
        yield f"Kubernetes does not run it yet: copy another's documents in {MANIFESTS}, and its lines beside it"
