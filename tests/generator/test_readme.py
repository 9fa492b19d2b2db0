"""The README of a new stack: nothing that people knew is missing, and what it shows is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from focushub_core.database import database
from focushub_core.stack import load
from focushub_generator import render
from focushub_generator.local.start import OTHER_DATA
from focushub_generator.plan import plan
from focushub_generator.resources import inventory
from focushub_generator.spec import stack_spec

ORIGINAL = """\
cd focushub
brew services start postgresql@14
psql -d postgres -c "\\l" | grep focushub
cd gateway && npm install && cd ..
cd auth-service && npm install && cd ..
cd task-service && npm install && cd ..
cd focus-service && npm install && cd ..
cd habit-service && npm install && cd ..
cd load-balancer && npm install && cd ..
cat .env
docker-compose up --build
docker-compose down
docker-compose logs -f
docker-compose logs -f auth-service
docker run -d -p 6379:6379 --name focushub-redis redis:7-alpine
cd gateway && npm run dev
cd auth-service && npm run dev
cd task-service && npm run dev
cd focus-service && npm run dev
cd habit-service && npm run dev
cd load-balancer && npm run dev
curl http://localhost:3000/health
curl http://localhost:3001/health
curl http://localhost:3002/health
curl http://localhost:3003/health
curl http://localhost:3004/health
curl http://localhost:8080/health
curl http://localhost/health
npm start
npm run dev
brew services list | grep postgres
brew services start postgresql@14
docker info
docker-compose down -v
docker system prune
lsof -i :3000
kill -9 <PID>
"""
"""The shell commands of the description that the platform comes from, in its order."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new stack's files."""
    return render.carry_out(plan(stack_spec("my-stack"), inventory()), tmp_path_factory.mktemp("readme"))


@pytest.fixture(scope="module")
def text(made: Path) -> str:
    """Its README."""
    return (made / "README.md").read_text()


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next of its kind."""
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head; an escaped bar is a bar."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines
    ]


def test_each_of_the_37_commands_has_its_counterpart_in_order(text: str) -> None:
    found = rows(section(text, "Coming from the Node.js description"))
    expected = [f"`{line}`" for line in ORIGINAL.splitlines()]
    assert len(expected) == 37
    assert [there for there, _ in found] == expected
    assert all(here for _, here in found)


def test_its_compose_commands_name_parts_profiles_and_files_that_exist(made: Path, text: str) -> None:
    compose = yaml.safe_load((made / "docker-compose.yml").read_text())
    included = [yaml.safe_load((made / one["path"]).read_text()) for one in compose["include"]]
    services = {
        name: one for file in (compose, *included) for name, one in (file.get("services") or {}).items()
    }
    profiles = {profile for one in services.values() for profile in one.get("profiles", ())}
    assert set(re.findall(r"docker compose --profile (\S+)", text)) == profiles
    for file in re.findall(r"docker compose -f (\S+)", text):
        assert (made / file).is_file()
    named = re.findall(
        r"docker compose (?:start|exec|ps --all|ps|logs -f|logs --tail 20) ([a-z][a-z-]*)", text
    )
    assert named
    assert set(named) <= set(services)


def test_every_file_that_it_names_is_there(made: Path, text: str) -> None:
    """Those that git ignores come with `focushub prepare` and `focushub up`."""
    named = set(
        re.findall(r"`((?:[\w.-]+/)*[\w.-]+\.(?:ya?ml|toml|txt|example)|[\w.-]+(?:/[\w.-]+)*/)`", text)
    )
    assert len(named) > 10
    ignored = {".focushub/", "vendor/"}
    parts = load(made).services.values()
    in_every_part = {"migrations/": [made / one.name / one.package for one in parts]}
    for name in named - ignored:
        for folder in in_every_part.get(name, [made]):
            assert (folder / name).exists(), name


def test_every_way_to_run_it_is_described(text: str) -> None:
    head = next(line for line in text.splitlines() if line.startswith("| | `focushub up`"))
    ways = [cell.strip() for cell in head.split("|")[2:-1]]
    assert ways == ["`focushub up`", "`docker compose up`", "Compose, production form", "Kubernetes"]
    table = text[text.index(head) :].partition("\n\n")[0]
    assert {len(row) for row in rows(table)} == {5}


def test_the_three_troubles_say_what_commands_say(text: str) -> None:
    """Each was tried; what this project itself says then is looked up where it is said."""
    troubles = section(text, "When something is wrong")
    titles = re.findall(r"^### (.*)$", troubles, re.MULTILINE)
    assert titles[:3] == ["PostgreSQL is down", "Docker is down", "A port is in use"]
    sources = Path(render.__file__).parent
    for said, file in (
        ("does not answer", "local/setup.py"),
        (" is in use", "local/ports.py"),
        ("; --port-offset ", "local/ports.py"),
        ("starts again in ", "local/supervisor.py"),
    ):
        assert said in troubles
        assert said in (sources / file).read_text()
    for said in ("the database cannot be used: ", "the database can be used again"):
        assert said in troubles
        assert said in Path(database.__file__).read_text()
    assert "put the old .env back" in OTHER_DATA
