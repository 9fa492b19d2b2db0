"""`.env` holds fresh secrets, is its owner's alone from the first byte, and never changes."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from focushub_generator import secrets

EXAMPLE = """\
# A comment about X_PASSWORD=
POSTGRES_PASSWORD=
TASK_DATABASE_PASSWORD=
AUTH_KEY_SECRET=
MAIL_URL=
KEPT_SECRET=mine
# OTHER_SECRET=
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / secrets.EXAMPLE).write_text(EXAMPLE)
    return tmp_path


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_every_empty_password_and_secret_gets_one_and_nothing_else_changes() -> None:
    numbers = iter("123")
    filled = secrets.fill(EXAMPLE, lambda: next(numbers))
    assert filled == EXAMPLE.replace("\nPOSTGRES_PASSWORD=", "\nPOSTGRES_PASSWORD=1").replace(
        "TASK_DATABASE_PASSWORD=", "TASK_DATABASE_PASSWORD=2"
    ).replace("AUTH_KEY_SECRET=", "AUTH_KEY_SECRET=3")


def test_a_secret_is_long_and_every_parser_reads_it_alike() -> None:
    made = [secrets.fresh_secret() for _ in range(500)]
    assert len(set(made)) == 500
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{42}", secret) for secret in made)


@pytest.mark.usefixtures("no_umask")
def test_no_other_user_can_read_it_at_any_moment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with an umask of 0: every file that is opened for writing is made 0600, and the name comes last."""
    opened: list[int] = []
    real_open, real_link = os.open, os.link

    def watching_open(path: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
        if flags & os.O_CREAT:
            opened.append(mode)
        return real_open(path, flags, mode, **options)

    def watching_link(source: Any, target: Any) -> None:
        assert not Path(target).exists()
        assert stat.S_IMODE(Path(source).stat().st_mode) == 0o600
        assert "POSTGRES_PASSWORD=" in Path(source).read_text()
        real_link(source, target)

    monkeypatch.setattr(os, "open", watching_open)
    monkeypatch.setattr(os, "link", watching_link)
    assert secrets.write_env(root)
    assert opened == [0o600]
    assert stat.S_IMODE((root / ".env").stat().st_mode) == 0o600


def test_one_that_is_there_is_never_changed(root: Path) -> None:
    (root / ".env").write_text("MINE=1\n")
    assert not secrets.write_env(root)
    assert (root / ".env").read_text() == "MINE=1\n"


def test_a_link_that_leads_nowhere_is_left_alone_too(root: Path) -> None:
    (root / ".env").symlink_to(root / "elsewhere")
    assert not secrets.write_env(root)
    assert not (root / "elsewhere").exists()


def test_of_many_at_once_one_writes_and_all_see_the_same(root: Path) -> None:
    def write(_: int) -> tuple[bool, str]:
        return secrets.write_env(root), (root / ".env").read_text()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(write, range(32)))
    assert [wrote for wrote, _ in results].count(True) == 1
    assert {text for _, text in results} == {(root / ".env").read_text()}
    assert sorted(path.name for path in root.iterdir()) == [".env", ".env.example"]


def test_a_failure_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space left"):
        secrets.write_env(root)
    assert [path.name for path in root.iterdir()] == [".env.example"]
