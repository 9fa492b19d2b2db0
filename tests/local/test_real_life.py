"""`focushub up` where people start it: as whoever they are, wherever they are, whatever else goes on there."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import focushub_core
import focushub_generator
from focushub_core.testing import servers
from focushub_generator.local import ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.stack

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="asked of root")

# As another user ---------------------------------------------------------------------------------------------------


def reachable(folder: Path) -> tuple[list[str], dict[str, str]]:
    """How to show this interpreter and what it imports under ``folder``: mount commands, and an environment for it.

    They may lie where only root can go; mounts of one's own show them elsewhere without changing that.
    """
    imported = {Path(package.__file__).parents[1] for package in (focushub_core, focushub_generator)}
    wanted = {Path(sysconfig.get_path("purelib")), *imported}
    outer = [
        path for path in wanted if not any(path != other and path.is_relative_to(other) for other in wanted)
    ]
    shown = {path: folder / f"lib{number}" for number, path in enumerate(outer)}
    paths = [
        str(there / path.relative_to(here))
        for path in wanted
        for here, there in shown.items()
        if path.is_relative_to(here)
    ]
    shown[Path(sys.base_prefix)] = folder / "python"
    mounts = [
        f"mount --bind {shlex.quote(str(here))} {shlex.quote(str(there))}" for here, there in shown.items()
    ]
    for there in shown.values():
        there.mkdir()
    environment = {
        "PYTHONHOME": str(folder / "python"),
        "PYTHONPATH": os.pathsep.join(paths),
        "LD_LIBRARY_PATH": str(folder / "python" / "lib"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return mounts, environment


@pytest.fixture
def nobodys(open_stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A stack whose folder is nobody's, and whose commands nobody gives. Without root: ours."""
    if os.geteuid() != 0:
        return open_stack
    place = open_stack.root.parent / "interpreter"
    place.mkdir()
    mounts, environment = reachable(place)
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    code = "from focushub_generator.cli import main; main()"
    as_nobody = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
    words = [
        *(f"{name}={value}" for name, value in environment.items()),
        f"{place}/python/bin/{python}",
        "-c",
        code,
    ]
    script = f'{{ {" && ".join(mounts)}; }} || exit 77; exec {as_nobody} env {shlex.join(words)} "$@"'
    open_stack.command = lambda *arguments: ["unshare", "--mount", "/bin/sh", "-c", script, "sh", *arguments]
    if open_stack.run("--version").returncode == 77:
        pytest.skip("mounts are not allowed here")
    give(open_stack.root, NOBODY)
    return open_stack


def give(folder: Path, user: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


def owners(stack: Any) -> set[int]:
    """Who the stack's processes run as."""
    found = set()
    for pid in stack.processes():
        with contextlib.suppress(FileNotFoundError):
            found.add(Path(f"/proc/{pid}").stat().st_uid)
    return found


def test_an_ordinary_user_runs_a_stack_as_itself(nobodys: Any) -> None:
    """Nothing of it is root's, its data lie in the folder, and it ends clean."""
    nobodys.up_and_ready()
    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    assert owners(nobodys) == {user}
    data = nobodys.root / ".focushub" / "postgres"
    assert (data.is_symlink(), data.stat().st_uid, stat.S_IMODE(data.stat().st_mode)) == (False, user, 0o700)
    assert stat.S_IMODE((nobodys.root / ".env").stat().st_mode) == 0o600
    assert nobodys.run("status", str(nobodys.root)).returncode == 0
    assert nobodys.stop() == 0
    assert nobodys.processes() == {}


@as_root
def test_what_root_has_left_behind_is_said_in_one_line(nobodys: Any) -> None:
    """After a `sudo focushub up` in one's own folder."""
    (nobodys.root / ".focushub").mkdir(mode=0o700)
    done = nobodys.run("up", str(nobodys.root))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert re.search(r"\.focushub.*Permission denied", done.stderr)


@as_root
def test_a_folder_that_one_may_only_read_is_said_in_one_line(nobodys: Any) -> None:
    give(nobodys.root, 0)
    done = nobodys.run("up", str(nobodys.root))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "Permission denied" in done.stderr


@as_root
def test_root_may_start_it_in_a_folder_that_nobody_else_may_enter(stack: Any) -> None:
    """PostgreSQL refuses to run as root; its data go where its user may, said in one line, and no mode is changed."""
    stack.root.chmod(0o700)
    above = {path: stat.S_IMODE(path.stat().st_mode) for path in (stack.root, *stack.root.parents)}
    stack.up_and_ready()
    data = stack.root / ".focushub" / "postgres"
    assert data.resolve().is_relative_to("/var/lib/focushub")
    assert len([line for line in stack.output().splitlines() if str(data.resolve()) in line]) == 1
    assert Path(f"/proc/{stack.part('postgres')['pid']}").stat().st_uid != 0
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in above} == above
    assert stack.stop() == 0


# Whatever is around ------------------------------------------------------------------------------------------------

ELSEWHERE = {
    "HOST": "nowhere.example",
    "PORT": "1",
    "REDIS_URL": "redis://nowhere.example:1",
    "TASK_DATABASE_URL": "postgresql://nowhere.example:1/x",
    "PGHOST": "nowhere.example",
    "PGPORT": "1",
    "PGUSER": "stranger",
    "PGPASSWORD": "wrong",
    "PGSSLMODE": "require",
    "PGOPTIONS": "-c search_path=nowhere",
    "PGDATA": "/nowhere",
    "http_proxy": "http://127.0.0.1:1",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "LC_ALL": "tr_TR.UTF-8",
    "TZ": "Pacific/Kiritimati",
}
"""What other projects leave in a shell."""


def test_what_a_shell_holds_for_other_projects_is_not_taken(
    stack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(name, value)
    stack.up_and_ready()
    told = json.loads((stack.root / "task-service" / "environment.json").read_text())
    assert told["PORT"] == str(stack.base + 2)
    assert "127.0.0.1" in told["TASK_DATABASE_URL"]
    assert "127.0.0.1" in told["REDIS_URL"]
    assert stack.run("status", str(stack.root)).returncode == 0
    assert stack.stop() == 0


def test_it_starts_with_no_environment_at_all(stack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a service manager: no HOME, no PATH, no locale."""
    monkeypatch.setattr(type(stack), "env", {"FOCUSHUB_TEST_STACK": str(stack.root)})
    stack.up_and_ready()
    assert stack.stop() == 0


def test_a_folder_whose_data_were_removed_begins_anew(stack: Any) -> None:
    """As its README says; as root, too, when the data lie elsewhere."""
    stack.up_and_ready()
    assert stack.stop() == 0
    shutil.rmtree(stack.root / ".focushub")
    stack.up_and_ready()
    assert "up to date" not in (stack.root / ".focushub" / "logs" / "setup.log").read_text()
    assert stack.stop() == 0


def test_a_folder_that_was_moved_keeps_its_data(stack: Any, tmp_path: Path) -> None:
    stack.up_and_ready()
    assert stack.stop() == 0
    stack.root = stack.root.rename(tmp_path / "moved here")
    stack.up_and_ready()
    log = (stack.root / ".focushub" / "logs" / "setup.log").read_text()
    assert log.count("up to date") == 2
    assert stack.stop() == 0


def test_another_password_than_the_datas_is_said_at_once(stack: Any) -> None:
    """An `.env` that was made anew."""
    stack.up_and_ready()
    assert stack.stop() == 0
    (stack.root / ".env").unlink()
    began = time.monotonic()
    done = stack.run("up", str(stack.root))
    assert done.returncode == 1
    assert "another POSTGRES_PASSWORD than .env has now" in done.stderr
    assert (time.monotonic() - began < 15, stack.processes()) == (True, {})


# Killed -----------------------------------------------------------------------------------------------------------


def victims(stack: Any) -> dict[str, list[int]]:
    """Who can be killed now, by what they are."""
    found: dict[str, list[int]] = {}
    for pid, command in stack.processes().items():
        kinds = {
            "up": pid == stack.process.pid,
            "guard": "nursery.py" in command,
            "postgres": "/postgres" in command.split(" ")[0] or command.startswith("postgres:"),
            "valkey": "valkey-server" in command,
            "setup": "local.setup" in command,
            "part": re.search(r"-m (gateway_app|load_balancer|\w+_service)$", command) is not None,
        }
        for kind, is_one in kinds.items():
            if is_one:
                found.setdefault(kind, []).append(pid)
    return found


def kill_some(stack: Any, dice: random.Random) -> list[str]:
    """Up to four kills -9 within the three seconds in which a stack starts; who was hit."""
    hit = []
    for _ in range(dice.randint(1, 4)):
        time.sleep(dice.uniform(0, 0.9))  # the moment is what is tested: any will do
        found = victims(stack)
        if not found:
            break
        kind = dice.choice(sorted(found))
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(found[kind]), signal.SIGKILL)
            hit.append(kind)
    return hit


def survive(stack: Any, seed: int) -> None:
    """After any kills it either is ready or has ended with one line; then nothing is left, and the next start works."""
    dice = random.Random(seed)
    process = stack.up()
    hit = kill_some(stack, dice)
    fatal = {"up", "guard"} & set(hit)  # it outlives neither, even if it had just said that it is ready
    stack.wait_for(
        lambda: process.poll() is not None or (not fatal and "is ready" in stack.output()),
        90,
        f"{seed}: {hit}",
    )
    if process.poll() is None:
        assert stack.stop() == 0, (seed, hit)
    elif "up" not in hit:
        assert process.returncode == 1, (seed, hit, stack.output())
        assert stack.output().splitlines()[-1].startswith("Error: "), (seed, hit, stack.output())
    stack.wait_for(lambda: not stack.processes(), 30, f"{seed}: nothing of it after {hit}")
    stack.up_and_ready()
    assert stack.run("status", str(stack.root)).returncode == 0
    assert stack.stop() == 0


@pytest.mark.parametrize("seed", range(6))
def test_kills_in_any_order_at_any_moment_of_the_start_leave_nothing_in_the_way(
    stack: Any, seed: int
) -> None:
    survive(stack, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 200))
def test_a_hundred_times(stack: Any, seed: int) -> None:
    survive(stack, seed)


# Servers of others -------------------------------------------------------------------------------------------------

DEBIAN = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> Iterator[servers.PostgresServer]:
    """A PostgreSQL 15 as Debian brings it."""
    if not (DEBIAN / "initdb").exists():
        pytest.skip(f"there is no PostgreSQL 15 in {DEBIAN} (Debian: postgresql-15)")
    with monkeypatch.context() as told:
        told.setenv("FOCUSHUB_PG_BIN", str(DEBIAN))
        running = servers.postgres()
        server = running.__enter__()
    try:
        yield server
    finally:
        running.__exit__(None, None, None)


@pytest.fixture
def generated(make_stack: Callable[..., Any], tmp_path: Path) -> Any:
    """The bundled platform in the place of the small stack."""
    found = make_stack("small")
    shutil.rmtree(found.root)
    done = found.run("generate", str(found.root), "--name", "shop")
    assert done.returncode == 0, done.stderr
    return found


def sql(server: servers.PostgresServer, query: str) -> list[str]:
    """The first column of an answer."""
    done = subprocess.run(
        [DEBIAN / "psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", query, server.admin_url],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.defpath},
    )
    return done.stdout.split()


def test_on_debians_postgresql_15_and_a_redis_of_others_the_whole_platform_runs(
    generated: Any, debian: servers.PostgresServer, valkey_server: Any
) -> None:
    """Roles and databases are made there; a second start finds them and changes nothing."""
    assert sql(debian, "SHOW server_version_num")[0].startswith("15")
    named = ("--postgres", debian.admin_url, "--redis", valkey_server.url)
    offset, states = free_offset(), []
    for _ in range(2):
        generated.up_and_ready(*named, "--port-offset", str(offset))
        states.append([sql(debian, query) for query in (DATABASES, ROLES)])
        if len(states) == 2:
            journey = [sys.executable, "tests/journey.py", "--url", f"http://127.0.0.1:{8080 + offset}"]
            done = subprocess.run(journey, cwd=generated.root, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr + generated.output()[-3000:]
        assert generated.stop() == 0
    names = ["shop_auth", "shop_focus", "shop_habits", "shop_tasks"]
    assert states[0] == states[1]
    assert [[line.split("|")[0] for line in found] for found in states[0]] == [names, names]
    assert not (generated.root / ".focushub" / "postgres").exists()
    assert not (generated.root / ".focushub" / "redis").exists()


DATABASES = "SELECT datname || '|' || datdba::regrole FROM pg_database WHERE datname LIKE 'shop%' ORDER BY 1"
ROLES = "SELECT rolname || '|' || rolsuper || rolcreatedb FROM pg_roles WHERE rolname LIKE 'shop%' ORDER BY 1"


HTTP_PORTS = (8080, 3000, 3001, 3002, 3003, 3004, 3100)


def free_offset() -> int:
    """At which every HTTP port of the platform is free, and nobody else's who runs tests at the same time."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 2
    tried = range(220 + 40 * worker, 1900, 200)
    return next(offset for offset in tried if all(ports.is_free(port + offset) for port in HTTP_PORTS))
