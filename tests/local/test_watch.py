"""Which sources have changed."""

from __future__ import annotations

import os
from pathlib import Path

from focushub_generator.local import watch


def test_sources_are_seen_and_what_nobody_writes_is_not(tmp_path: Path) -> None:
    for name in ("a.py", "sub/b.sql", "c.txt", "__pycache__/d.py", "tests/e.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert {os.path.relpath(path, tmp_path) for path in watch.look([tmp_path])} == {"a.py", "sub/b.sql"}


def test_changed_made_and_removed_sources_differ_and_others_do_not(tmp_path: Path) -> None:
    changed, removed, made, same = (
        tmp_path / f"{name}.py" for name in ("changed", "removed", "made", "same")
    )
    for path in (changed, removed, same):
        path.write_text("1")
    before = watch.look([tmp_path])
    changed.write_text("22")
    removed.unlink()
    made.touch()
    assert watch.difference(before, watch.look([tmp_path])) == [str(changed), str(made), str(removed)]
