"""What a killed test process leaves behind, the next one removes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from focushub_core.testing.scratch import HELD, NEW_S, PREFIX, scratch

HOLDER = """
import sys, time
from pathlib import Path
from focushub_core.testing.scratch import scratch
with scratch(Path(sys.argv[1])) as folder:
    (folder / "data").write_text("much")
    print(folder, flush=True)
    time.sleep(60)
"""


def begin(base: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process with a folder of its own, which is not quite new any more."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(base)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    grow_old(folder)
    return process, folder


def grow_old(folder: Path) -> None:
    then = time.time() - NEW_S - 1
    os.utime(folder, (then, then))


def test_a_folder_goes_with_its_use(tmp_path: Path) -> None:
    with scratch(tmp_path) as folder:
        assert (folder.parent, folder.stat().st_mode & 0o777) == (tmp_path, 0o711)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_stays(tmp_path: Path) -> None:
    (killed, left), (living, used) = begin(tmp_path), begin(tmp_path)
    with killed, living:
        killed.kill()
        assert killed.wait() == -signal.SIGKILL
        try:
            with scratch(tmp_path) as own:
                assert {*tmp_path.iterdir()} == {own, used}
                assert (used / "data").read_text() == "much"
        finally:
            living.kill()
    assert not left.exists()


def test_a_folder_that_is_new_or_not_ours_to_judge_stays(tmp_path: Path) -> None:
    new, unheld = (tmp_path / f"{PREFIX}{name}" for name in ("new", "unheld"))
    for folder in (new, unheld):
        folder.mkdir()
    (new / HELD).touch()
    grow_old(unheld)
    with scratch(tmp_path):
        pass
    assert {*tmp_path.iterdir()} == {new, unheld}
