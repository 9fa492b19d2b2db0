"""Stacks of the three kinds that there are, one after the other; each lives as long as tests ask for it.

``pytest.mark.parametrize("stack", [...], indirect=True)`` says on which of `LOCAL`, `DEVELOPMENT` and `PRODUCTION` a
test runs. A module that wants one of its own, changed before it starts, asks for `shop`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from .compose import Compose, missing
from .local import Local
from .runtime import FOCUSHUB, Runtime

ROOT = Path(__file__).resolve().parents[2]
UNTRACKED = shutil.ignore_patterns(".env", ".focushub", "vendor", "__pycache__", ".*_cache", ".hypothesis")


def focushub(*words: str, umask: int = 0o022, environ: Mapping[str, str] | None = None) -> None:
    """Runs the command; its failure is the test's."""
    environ = {**os.environ, **(environ or {})}
    subprocess.run([*FOCUSHUB, *words], check=True, env=environ, umask=umask, stdout=subprocess.DEVNULL)


def generated(tmp_path_factory: pytest.TempPathFactory, umask: int = 0o022) -> Path:
    """The stack ``shop``, as the installed library writes it."""
    root = tmp_path_factory.mktemp("stacks") / "shop"
    home = tmp_path_factory.mktemp("home")
    focushub("generate", str(root), "--name", "shop", umask=umask, environ={"HOME": str(home)})
    assert list(home.iterdir()) == []
    return root


@contextmanager
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """That stack, run by `focushub up`."""
    with _processes(generated(tmp_path_factory)) as stack:
        yield stack


@contextmanager
def _processes(root: Path) -> Iterator[Local]:
    stack = Local(root)
    try:
        stack.wait_until_ready()
        yield stack
    finally:
        stack.stop()


@contextmanager
def development(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """The bundled example, in a copy, as a clone of it would be: prepared, then the development form."""
    root = tmp_path_factory.mktemp("stacks") / "focushub"
    shutil.copytree(ROOT / "examples" / "focushub", root, ignore=UNTRACKED)
    focushub("prepare", str(root))
    with _containers(Compose(root, "development")) as stack:
        yield stack


@contextmanager
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A new stack, joined by a fifth service, of somebody whose files nobody else may read: the production form."""
    root = generated(tmp_path_factory, umask=0o077)
    focushub("add", "service", "notes", str(root), umask=0o077)
    with _containers(Compose(root, "production")) as stack:
        yield stack


@contextmanager
def _containers(stack: Compose) -> Iterator[Runtime]:
    try:
        stack.up()
        yield stack
    finally:
        stack.remove()


KINDS: dict[str, Callable[[pytest.TempPathFactory], AbstractContextManager[Runtime]]] = {
    "development": development,
    "production": production,
    "local": local,
}


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A running stack of the kind that the test asks for."""
    reason = missing() if request.param != "local" else None
    if reason is not None:
        pytest.skip(reason)
    with KINDS[request.param](tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stack ``shop`` in files; a module's own `root` may change it before `shop` starts it."""
    return generated(tmp_path_factory)


@pytest.fixture(scope="module")
def shop(root: Path) -> Iterator[Local]:
    """That stack on its own, run by `focushub up`."""
    with _processes(root) as running:
        yield running


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of one kind of stack follow each other, so that it is started once."""
    order = [None, *KINDS]
    items.sort(key=lambda item: order.index(_kind(item)))


def _kind(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("stack") if callspec is not None else None
