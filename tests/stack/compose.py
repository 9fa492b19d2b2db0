"""A stack that a Docker engine runs, in one of its two forms.

Rules that hold here:

* Nothing of the owner's is touched: each stack runs as a Compose project of its own, whose containers, volumes and
  images go with it.
* What is said to Compose is what the stack's README says; ``COMPOSE_*`` of the environment do not count.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from .runtime import SERVICES, Answer, Part, Runtime

Form = Literal["development", "production"]

ASK = """
import json, os, sys, time, urllib.error, urllib.request
started = time.monotonic()
try:
    answer = urllib.request.urlopen(f"http://127.0.0.1:{os.environ['PORT']}{sys.argv[1]}", timeout=10)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, json.load(answer), time.monotonic() - started]))
"""


def missing() -> str | None:
    """Why no stack can run in containers here; `None` if one can."""
    if shutil.which("docker") is None:
        return "there is no docker command here"
    for words in (["info"], ["compose", "version"]):
        if subprocess.run(["docker", *words], capture_output=True).returncode != 0:
            return f"no Docker engine with Compose runs here: `docker {' '.join(words)}` fails"
    return None


def docker(*words: str) -> str:
    """What a docker command prints; fails with what it says where it fails."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"docker {' '.join(words)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


class Compose(Runtime):
    """`docker compose up --build` of the stack in ``root``."""

    url = "http://localhost"

    def __init__(self, root: Path, form: Form) -> None:
        self.root = root
        self.form = form
        self.gateways = {"development": 1, "production": 2}[form]
        self.project = f"focushub-{secrets.token_hex(4)}"

    def compose(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A Compose command on the stack."""
        files = ["--file", "docker-compose.yml"] if self.form == "production" else []
        command = ["docker", "compose", "--project-name", self.project, *files, *words]
        own = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
        return subprocess.run(command, cwd=self.root, env=own, capture_output=True, text=True)

    def must(self, *words: str) -> str:
        """What a Compose command prints; fails with what it says where it fails."""
        done = self.compose(*words)
        assert done.returncode == 0, f"{words}:\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def up(self) -> None:
        """Builds and starts everything; returns when all is healthy."""
        done = self.compose("up", "--build", "--detach")
        assert done.returncode == 0, f"{done.stderr[-2000:]}\n{self.why()[-6000:]}"
        self.wait_for(self.is_well, 60)

    def remove(self) -> None:
        """Leaves nothing of it in the engine but the cache of its builds."""
        self.must("down", "--volumes", "--rmi", "local", "--remove-orphans", "--timeout", "0")

    def containers(self) -> dict[str, Any]:
        """What the engine knows of each container, by the part's name."""
        ids = self.must("ps", "--all", "--quiet").split()
        found = json.loads(docker("inspect", *ids)) if ids else []
        return {_part_name(container): container for container in found}

    def why(self) -> str:
        return self.must("ps", "--all") + self.must("logs", "--tail", "5", "--no-color")

    def parts(self) -> dict[str, Part]:
        return {
            name: Part(name, _status(container), container["State"]["Pid"], container["RestartCount"])
            for name, container in self.containers().items()
            if not name.endswith("migrate")  # a job, and done
        }

    def ask(self, name: str, path: str) -> Answer:
        return Answer(*json.loads(docker("exec", self.containers()[name]["Id"], "python", "-c", ASK, path)))

    def kill(self, name: str) -> None:
        """By the engine's own machine: whatever `docker kill` ends, it takes for wanted and does not start again."""
        kill = f"import os; os.kill({self.parts()[name].pid}, 9)"
        image = self.containers()["gateway-1"]["Image"]
        docker(
            *("run", "--rm", "--pid", "host", "--user", "0:0", "--network", "none"),
            *("--entrypoint", "python", image, "-c", kill),
        )

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        # A busy engine may not manage at once ("unable to freeze").
        self.wait_for(lambda: self.compose("pause", name).returncode == 0, 20)
        try:
            yield
        finally:
            self.must("unpause", name)

    def lines_about(self, request_id: str) -> str:
        lines = self.must("logs", "--no-color").splitlines()
        return "\n".join(line for line in lines if request_id in line)

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        return self.compose("run", "--rm", "--no-deps", "-T", "migrate", "python", "-c", code)

    def stop(self) -> list[str]:
        """Everything ends by itself, in order and in time: what the engine had to kill has another exit code."""
        self.must("stop")
        return [
            f"{name}: exit code {container['State']['ExitCode']}"
            for name, container in self.containers().items()
            if container["State"]["ExitCode"] != 0
        ]


def _part_name(container: Any) -> str:
    """``gateway-1``, as `focushub status` calls it; the rest are alone and have no number."""
    labels = container["Config"]["Labels"]
    service = str(labels["com.docker.compose.service"])
    return f"{service}-{labels['com.docker.compose.container-number']}" if service == "gateway" else service


def _status(container: Any) -> str:
    state = container["State"]
    return str(state.get("Health", {}).get("Status") if state["Running"] else state["Status"])


PYTHON_PARTS = (*SERVICES, "gateway-1", "load-balancer")
