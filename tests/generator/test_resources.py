"""What lies among the templates without being one is never taken for one."""

from __future__ import annotations

from pathlib import Path

from focushub_generator.resources import FOLDERS, data_root, files_below, inventory


def test_secrets_caches_and_bytecode_are_left_out(tmp_path: Path) -> None:
    kept = [".env.example", ".github/workflows/ci.yml", ".gitignore", "a/x.py", "rebuild/x"]
    strays = [
        ".env",
        "a/__pycache__/x.pyc",
        "a/x.pyc",
        "a/.hypothesis/c",
        ".ruff_cache/x",
        "vendor/x.whl",
        ".DS_Store",
    ]
    for file in (*kept, *strays):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("x")
    assert list(files_below(tmp_path)) == kept


def test_the_inventory_names_files_that_are_there() -> None:
    files = inventory()
    assert {file.split("/")[0] for file in files} == set(FOLDERS)
    assert [file for file in files if not (data_root() / file).is_file()] == []
