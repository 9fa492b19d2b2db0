"""The wheel holds what git tracks and nothing else, and generates the same stack as the checkout."""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import focushub_core
from focushub_generator import render
from focushub_generator.add import add
from focushub_generator.compare import differences
from focushub_generator.plan import plan
from focushub_generator.resources import data_root, inventory
from focushub_generator.spec import stack_spec

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[str]:
    """What git tracks, or would at the next `git add`; what it ignores is not among it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted({file for file in listed.stdout.split("\0") if file and (ROOT / file).is_file()})


@pytest.fixture(scope="module")
def files() -> list[str]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    pytest.importorskip("hatchling", reason="hatchling builds the wheel; it is not installed")
    return tracked()


@pytest.fixture(scope="module")
def wheel(files: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the checkout in which lies what a working checkout has: secrets, caches, bytecode."""
    copy = tmp_path_factory.mktemp("checkout")
    for file in files:
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, copy / file)
    for stray in ("templates/overlays/base/.env", "templates/stack/.env", "focushub_core/__pycache__/x.pyc"):
        (copy / stray).parent.mkdir(exist_ok=True)
        (copy / stray).write_text("stray")
    compileall.compile_dir(copy / "templates", quiet=2)
    built = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)],
        cwd=copy,
        check=True,
        capture_output=True,
    )
    return next(built.glob("*.whl"))


@pytest.mark.skipif("TOX_ENV_NAME" not in os.environ, reason="tox tests the installed wheel; this is not tox")
def test_what_tox_tests_is_the_installed_wheel() -> None:
    """A checkout is importable by accident, from its own folder."""
    packages = Path(sysconfig.get_path("purelib")).resolve()
    assert Path(str(focushub_core.__file__)).resolve().is_relative_to(packages)
    assert data_root().is_relative_to(packages)


def test_it_holds_what_git_tracks_and_nothing_else(wheel: Path, files: list[str]) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    expected = set()
    for folder in settings["only-include"]:
        inside = settings["sources"].get(folder, folder)
        expected |= {inside + file.removeprefix(folder) for file in files if file.startswith(f"{folder}/")}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == expected


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it, byte-compiled as an installer does; the dependencies are this one's."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(place), "platbase": str(place)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
        for entry in archive.infolist():  # installers keep run bits, zipfile does not
            if entry.external_attr >> 16 & 0o100:
                (packages / entry.filename).chmod(0o755)
    compileall.compile_dir(packages, quiet=2)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return packages


def run(site: Path, *words: str, cwd: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Runs the environment's Python, with no way to the checkout."""
    environ = {"PATH": os.defpath, "HOME": str(home), "PYTHONWARNINGS": "error"}
    interpreter = site.parents[2] / "bin" / "python"
    return subprocess.run(
        [interpreter, *words], cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=50
    )


def test_it_is_itself_what_runs_there(site: Path, tmp_path: Path) -> None:
    code = (
        "import focushub_core, focushub_generator.resources as r;"
        "print(focushub_core.__file__); print(r.__file__); print(r.data_root())"
    )
    result = run(site, "-c", code, cwd=tmp_path, home=tmp_path)
    assert result.stderr == ""
    assert all(Path(line).is_relative_to(site) for line in result.stdout.splitlines())


def test_it_generates_what_the_checkout_generates(site: Path, tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir(mode=0o500)
    outside.mkdir()
    result = run(site, "-m", "focushub_generator", "generate", "my-stack", cwd=outside, home=home)
    assert (result.returncode, result.stderr) == (0, "")
    expected = render.carry_out(plan(stack_spec("my-stack"), inventory()), tmp_path)
    made = outside / "my-stack"
    assert differences(expected, made) == []
    assert list(home.iterdir()) == []
    assert [path for path in made.rglob("*") if path.name == "__pycache__" or path.suffix == ".pyc"] == []


def test_it_adds_the_service_that_the_checkout_adds(site: Path, tmp_path: Path) -> None:
    steps = plan(stack_spec("my-stack"), inventory())
    for place in ("expected", "outside"):
        (tmp_path / place).mkdir()
        render.carry_out(steps, tmp_path / place)
    made = tmp_path / "outside" / "my-stack"
    result = run(
        site, "-m", "focushub_generator", "add", "service", "notes", str(made), cwd=tmp_path, home=tmp_path
    )
    assert (result.returncode, result.stderr) == (0, "")
    add(tmp_path / "expected" / "my-stack", "notes")
    assert differences(tmp_path / "expected" / "my-stack", made) == []


def test_its_vendored_wheel_holds_what_it_held(site: Path, wheel: Path, tmp_path: Path) -> None:
    result = run(site, "-m", "focushub_generator", "generate", "s", cwd=tmp_path, home=tmp_path)
    assert result.returncode == 0
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(tmp_path / "s" / "vendor" / wheel.name) as second:
        assert set(second.namelist()) == set(first.namelist())
        for name in second.namelist():
            if not name.endswith("/RECORD"):
                assert second.read(name) == first.read(name), name
