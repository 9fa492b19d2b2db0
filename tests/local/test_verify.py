"""`focushub verify` on a stack of a few lines, whose balancer keeps its promises, or breaks them as a test wishes."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from focushub_generator.local.lock import is_running
from focushub_generator.local.verify.kills import is_its_own

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STACK = pytest.mark.stack

DOOR = '''
"""The whole API of a small stack, in memory. The files beside it say which promise it breaks."""
import http.server, json, os, signal, sys, threading
from pathlib import Path
from urllib.parse import urlsplit

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
lock, made, reads, last = threading.Lock(), {}, {}, []
TEXT = {"type": "string", "maxLength": 200}
NEW = {"type": "object", "required": ["title"], "properties": {"title": TEXT}}
SAFE = [{"bearer": []}]
DOCUMENT = {"paths": {
    "/v1/auth/register": {"post": {"responses": {"202": {}}}},
    "/v1/tasks": {
        "get": {"security": SAFE, "responses": {"200": {}}},
        "post": {
            "security": SAFE,
            "parameters": [{"name": "Idempotency-Key", "in": "header"}],
            "requestBody": {"content": {"application/json": {"schema": NEW}}},
            "responses": {"201": {}},
        },
    },
    "/v1/tasks/{task_id}": {"get": {"security": SAFE, "responses": {"200": {}}}},
}}

def sins(name):
    return Path(name).exists()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = urlsplit(self.path).path
        who = self.headers.get("Authorization", "")
        if path == "/openapi.json":
            return self.answer(200, DOCUMENT)
        with lock:
            mine = made.setdefault(who, [])
            reads[who] = reads.get(who, 0) + 1
            if sins("fails") and reads[who] % 20 == 0:
                return self.answer(503, {"code": "tired"})
            if sins("mixes") and reads[who] % 20 == 10:
                mine = next(items for other, items in made.items() if other != who and items)
            if path == "/v1/tasks":
                return self.answer(200, {"items": list(mine)})
            if path == "/health":
                return self.answer(200, {})
            if not sins("loses") or reads[who] < 5:
                assert int(path.rpartition("/")[2]) < len(mine)
            return self.answer(200, {})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        if self.path == "/v1/auth/register":
            return self.answer(202, {})
        if self.path == "/v1/auth/login":
            return self.answer(200, {"access_token": body["email"], "expires_in": 600})
        with lock:
            mine = made.setdefault(self.headers["Authorization"], [])
            item = {"id": len(mine), **body}
            times = len(mine) % 4
            mine.append(item)
            if sins("loses") and times == 2:
                mine[-1] = {"id": -1}
            if sins("doubles") and times == 3:
                mine.append(item)
        self.answer(201, item)

    def answer(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
        asked = self.headers.get("X-Request-Id", "none")
        last.append(asked)
        self.send_header("X-Request-Id", last[-2] if sins("swaps") and len(last) % 20 == 0 else asked)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64

Server((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
'''


@pytest.fixture
def shop(make_stack: Callable[..., Any]) -> Any:
    """A small stack with an API."""
    found = make_stack("small")
    (found.root / "load-balancer" / "load_balancer" / "__main__.py").write_text(DOOR)
    return found


def verify(stack: Any, *options: str) -> subprocess.CompletedProcess[str]:
    return stack.run("verify", "--seconds", "3", *options, str(stack.root))  # type: ignore[no-any-return]


@STACK
def test_where_nothing_runs_it_starts_the_stack_and_stops_it_and_says_so(shop: Any) -> None:
    """Killed are a gateway and the service that is written to; both come back."""
    done = verify(shop)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("All promises kept.\n")
    said = done.stderr
    assert f"No stack runs in {shop.root}: starting it, and stopping it at the end" in said
    assert "8 clients read 1 paths and write to /v1/tasks" in said
    for part in ("gateway-1", "task-service"):
        assert f"{part} (process" in said
    assert said.count("was killed, and was back after") == 2
    assert "nobody else's data are touched" in said
    assert shop.processes() == {}


@STACK
def test_what_a_killed_run_left_is_not_taken_for_a_stack_that_runs(shop: Any) -> None:
    shop.up_and_ready().kill()
    shop.process.wait()
    shop.wait_for(lambda: not shop.processes())
    assert (shop.root / ".focushub" / "state.json").exists()
    process, said = begin_to_verify(shop)
    shop.wait_for(lambda: "8 clients read" in said() or process.poll() is not None, 90)
    assert process.poll() is None, said()
    assert "No stack runs" in said()
    process.send_signal(signal.SIGINT)
    process.wait(40)
    shop.wait_for(lambda: not shop.processes())


def begin_to_verify(stack: Any) -> tuple[subprocess.Popen[bytes], Callable[[], str]]:
    """A run that a test ends, and what it has said so far."""
    file = stack.root / "verify.err"
    with file.open("wb") as err:
        command = stack.command("verify", "--seconds", "60", str(stack.root))
        stack.process = subprocess.Popen(
            command, env=stack.env, stderr=err
        )  # which the stack ends at the latest
    return stack.process, file.read_text


SINS = {
    "loses": "were lost: verify-",
    "doubles": "were executed twice: verify-",
    "mixes": "reached another client: GET /v1/tasks",
    "fails": "reads failed, where none may",
    "swaps": ", bears the id verify-",
}
"""What is said of each. Of answers that went astray only the first is shown: two kinds are two runs."""


@STACK
@pytest.mark.parametrize("sins", [("loses", "doubles", "mixes", "fails"), ("swaps",)], ids="-".join)
def test_against_a_stack_that_breaks_its_promises_it_exits_with_1_and_names_each(
    shop: Any, sins: tuple[str, ...]
) -> None:
    shop.up_and_ready()
    for sin in sins:
        (shop.root / "load-balancer" / sin).touch()
    done = verify(shop)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [line for line in done.stdout.splitlines() if line.startswith("BROKEN  ")]
    named = {sin for sin, words in SINS.items() if any(words in line for line in broken)}
    assert named == set(sins), done.stdout
    assert "All promises kept" not in done.stdout
    assert shop.stop() == 0


@STACK
def test_the_report_for_programs_goes_to_standard_output_alone(shop: Any) -> None:
    shop.up_and_ready()
    before = {
        name: shop.part(name)["pid"] for name in ("gateway-1", "gateway-2", "task-service", "auth-service")
    }
    done = verify(shop, "--json", "--service", "auth-service")
    found = json.loads(done.stdout)
    assert (done.returncode, found["kept"], found["broken"]) == (0, True, [])
    assert [(kill["part"], kill["pid"]) for kill in found["kills"]] == [
        ("gateway-1", before["gateway-1"]),
        ("auth-service", before["auth-service"]),
    ]
    assert found["acknowledged"] == found["writes"] > 0
    for name in ("gateway-2", "task-service"):
        assert shop.part(name)["pid"] == before[name]
    assert shop.stop() == 0


@STACK
def test_one_gateway_alone_is_not_killed_and_that_is_said(shop: Any) -> None:
    shop.up("--gateways", "1")
    shop.wait_for(lambda: is_running(shop.root))  # only just: it is waited for
    done = verify(shop, "--json")
    assert [kill["part"] for kill in json.loads(done.stdout)["kills"]] == ["task-service"]
    assert "One gateway runs alone" in done.stderr
    assert shop.stop() == 0


@STACK
def test_a_part_that_is_not_well_is_said_before_anything_is_killed(shop: Any) -> None:
    shop.up_and_ready()
    (shop.root / "task-service" / "ailing").touch()
    done = verify(shop)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: task-service is not well: see `focushub status`\n"
    assert shop.stop() == 0


@STACK
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ended_at_any_moment_it_leaves_nothing_of_the_stack_that_it_started(shop: Any, number: int) -> None:
    process, _ = begin_to_verify(shop)
    shop.wait_for(lambda: shop.state().get("ready"), 60)
    process.send_signal(number)
    process.wait(40)
    shop.wait_for(lambda: not shop.processes())


def test_a_service_that_is_not_in_the_stack_is_said_at_once(shop: Any) -> None:
    done = verify(shop, "--service", "task")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: there is no service task; there are auth-service, task-service\n"


def test_a_stack_that_cannot_start_is_said_in_one_line(shop: Any) -> None:
    (shop.root / ".env.example").write_text("")
    done = verify(shop)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(
        "Error: the stack does not start: POSTGRES_PASSWORD is not set"
    )


def test_only_a_process_that_up_has_started_in_the_parts_folder_is_killed(tmp_path: Path) -> None:
    """A number that somebody else's process has now is left alone."""
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path, start_new_session=True) as process:
        try:
            assert is_its_own(process.pid, tmp_path)
            assert not is_its_own(process.pid, tmp_path.parent)
        finally:
            process.kill()
    assert not is_its_own(process.pid, tmp_path)
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path) as process:
        try:
            assert not is_its_own(process.pid, tmp_path)
        finally:
            process.kill()
