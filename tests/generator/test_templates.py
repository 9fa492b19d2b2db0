"""The rules for templates hold, and what they make is a sound stack."""

from __future__ import annotations

import ast
import difflib
import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from focushub_generator import add, cli, render
from focushub_generator.plan import RENDERED, layers, plan
from focushub_generator.resources import data_root, inventory
from focushub_generator.spec import stack_spec

ROOT = Path(__file__).resolve().parents[2]
SPEC = stack_spec("my-stack")
RENDERED_FILES = [file for file in inventory() if file.startswith(RENDERED)]
VERBATIM = [copy.source for copy in plan(SPEC, inventory()).copies]
VERBATIM += [file for file in inventory() if file.startswith(add.TEMPLATE)]

LOOPS = {
    ".env.example": 1,
    "README.md": 5,
    "docker-compose.override.yml": 1,
    "docker-compose.yml": 5,
    "focushub.toml": 1,
    "kubernetes/base/gateway.yaml": 1,
    "kubernetes/base/kustomization.yaml": 1,
    "kubernetes/base/migrate.yaml": 2,
    "kubernetes/base/services.yaml": 2,
    "monitoring/prometheus/prometheus.yml": 1,
}
"""Where a list of services is written out, and how often."""


def text_of(file: str) -> str:
    return (data_root() / file).read_text(encoding="utf-8")


def test_only_files_with_a_list_of_services_are_rendered_and_each_loop_is_counted() -> None:
    found = {
        file.removeprefix(RENDERED): len(re.findall(r"{%-? *for ", text_of(file))) for file in RENDERED_FILES
    }
    assert found == LOOPS


@pytest.mark.parametrize("file", RENDERED_FILES)
def test_a_rendered_file_decides_nothing(file: str) -> None:
    """Loops and values only: no branches, no assignments, no macros."""
    statements = set(re.findall(r"{%-? *(\w+)", text_of(file)))
    assert statements <= {"for", "endfor"}
    assert not re.search(r"{{[^}]*\bif\b", text_of(file))


def test_no_python_and_no_sql_is_rendered() -> None:
    assert [file for file in RENDERED_FILES if file.endswith((".py", ".sql"))] == []


@pytest.mark.parametrize("file", VERBATIM)
def test_a_verbatim_file_holds_nothing_to_be_rendered(file: str) -> None:
    assert "cookiecutter." not in text_of(file)
    if file.endswith((".py", ".sql", ".toml")):
        assert not re.search(r"{%|%}|{{ ", text_of(file))


@pytest.mark.parametrize("file", [file for file in VERBATIM if file.endswith(".py")])
def test_template_python_is_python(file: str) -> None:
    ast.parse(text_of(file), file)


def test_every_template_belongs_to_a_layer() -> None:
    """So that nothing lies there unused."""
    places = (RENDERED, f"{add.TEMPLATE}/", *(layer.source for layer in layers(SPEC)))
    others = {file for file in inventory() if not file.startswith(places)}
    assert others == {"templates/README.md", "templates/stack/cookiecutter.json"}


def test_no_two_services_share_a_long_file_that_is_much_alike() -> None:
    """What they would share belongs to the kit: more than 80 % alike and over 15 lines is a copy."""
    texts: dict[str, dict[str, str]] = {}
    for service in SPEC.services:
        prefix = f"templates/overlays/{service.key}/"
        mine = [file for file in inventory() if file.startswith(prefix)]
        texts[service.key] = {file: text_of(file) for file in mine if len(text_of(file).splitlines()) > 15}
    alike = [
        (one, other)
        for first, second in itertools.combinations(texts, 2)
        for one, other in itertools.product(texts[first], texts[second])
        if _alike(texts[first][one], texts[second][other])
    ]
    assert alike == []


def _alike(one: str, other: str) -> bool:
    matcher = difflib.SequenceMatcher(None, one.splitlines(), other.splitlines(), autojunk=False)
    return matcher.quick_ratio() > 0.8 and matcher.ratio() > 0.8


def test_a_stack_is_linted_by_the_same_rules_as_its_templates() -> None:
    """Otherwise what passes here would fail in people's stacks."""
    ours, theirs = (
        tomllib.loads(file.read_text(encoding="utf-8"))["tool"]["ruff"]
        for file in (ROOT / "pyproject.toml", data_root() / "templates/overlays/base/pyproject.toml")
    )
    assert theirs == {name: value for name, value in ours.items() if name != "src"}


# What is made ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render.carry_out(plan(SPEC, inventory()), tmp_path_factory.mktemp("templates"))


@pytest.fixture(scope="module")
def compose(made: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((made / "docker-compose.yml").read_text()))


@pytest.fixture(scope="module")
def override(made: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((made / "docker-compose.override.yml").read_text()))


PARTS = ["auth-service", "task-service", "focus-service", "habit-service", "gateway", "load-balancer"]


def test_nothing_is_left_unrendered(made: Path) -> None:
    for file in LOOPS:
        assert not re.search(r"{{|{%|cookiecutter", (made / file).read_text()), file


def test_every_command_that_its_readme_shows_exists_with_its_options(made: Path) -> None:
    shown = re.findall(
        r"(?:^    |`)focushub ([a-z]+)([^`\n#]*)", (made / "README.md").read_text(), re.MULTILINE
    )
    assert {name for name, _ in shown} >= {"prepare", "up", "status", "logs", "psql", "migrate", "run"}
    for name, rest in shown:
        command = cli.main.commands[name]
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, f"focushub {name}{rest}"


def test_compose_has_the_parts_of_the_contract_and_the_migrations_job(compose: dict[str, Any]) -> None:
    assert compose["name"] == "my-stack"
    assert set(compose["services"]) == {*PARTS, "redis", "postgres", "nginx", "migrate"}


def test_the_production_form_publishes_nginx_alone(compose: dict[str, Any]) -> None:
    published = {name for name, part in compose["services"].items() if "ports" in part}
    assert published == {"nginx"}


def test_the_development_form_publishes_the_others_on_this_machine_only(override: dict[str, Any]) -> None:
    ports = {name: part["ports"] for name, part in override["services"].items()}
    assert ports == {
        "redis": ["127.0.0.1:6379:6379"],
        "auth-service": ["127.0.0.1:3001:3001"],
        "task-service": ["127.0.0.1:3002:3002"],
        "focus-service": ["127.0.0.1:3003:3003"],
        "habit-service": ["127.0.0.1:3004:3004"],
        "gateway": ["127.0.0.1:3000:3000"],
        "load-balancer": ["127.0.0.1:8080:8080"],
    }


@pytest.mark.parametrize("part", PARTS)
def test_the_development_form_mounts_the_sources_and_reloads(
    made: Path, override: dict[str, Any], part: str
) -> None:
    service = override["services"][part]
    assert service["command"] == ["focushub", "run", part, "/stack", "--reload"]
    for volume in service["volumes"]:
        here, there, mode = volume.split(":")
        assert (made / here).exists()
        assert there == f"/stack/{here.removeprefix('./')}"
        assert mode == "ro"


def test_each_part_waits_for_the_one_before(compose: dict[str, Any]) -> None:
    """postgres, migrate, services, gateway, load-balancer, nginx."""
    waits = {
        name: {other: how["condition"] for other, how in part.get("depends_on", {}).items()}
        for name, part in compose["services"].items()
    }
    services = {
        name: {"migrate": "service_completed_successfully", "redis": "service_healthy"} for name in PARTS[:4]
    }
    assert waits == {
        "postgres": {},
        "redis": {},
        "migrate": {"postgres": "service_healthy"},
        **services,
        "gateway": {**dict.fromkeys(PARTS[:4], "service_healthy"), "redis": "service_healthy"},
        "load-balancer": {"gateway": "service_healthy"},
        "nginx": {"load-balancer": "service_healthy"},
    }


def test_a_part_has_longer_to_stop_than_its_drain_takes(compose: dict[str, Any]) -> None:
    for name in PARTS:
        part = compose["services"][name]
        assert int(part["stop_grace_period"].removesuffix("s")) >= 2 * int(
            part["environment"]["DRAIN_SECONDS"]
        )


def test_each_parts_port_is_the_one_that_the_stacks_file_says(compose: dict[str, Any]) -> None:
    expected = {service.name: str(service.port) for service in SPEC.services}
    expected |= {"gateway": "3000", "load-balancer": "8080"}
    assert {name: compose["services"][name]["environment"]["PORT"] for name in PARTS} == expected


def test_a_part_knows_no_secret_but_its_own(compose: dict[str, Any]) -> None:
    """The operator's, by which a request is explained over all hops, is every part's."""
    known = {
        name: set(re.findall(r"\${(\w+(?:_PASSWORD|_SECRET))", str(part["environment"])))
        for name, part in compose["services"].items()
        if "environment" in part
    }
    assert {name for name, secrets in known.items() if "EXPLAIN_SECRET" in secrets} == set(PARTS)
    known = {name: secrets - {"EXPLAIN_SECRET"} for name, secrets in known.items()}
    assert known == {
        "postgres": {"POSTGRES_PASSWORD"},
        "redis": {"REDIS_PASSWORD"},
        "migrate": {
            "POSTGRES_PASSWORD",
            "AUTH_DATABASE_PASSWORD",
            "TASK_DATABASE_PASSWORD",
            "FOCUS_DATABASE_PASSWORD",
            "HABIT_DATABASE_PASSWORD",
        },
        "auth-service": {"REDIS_PASSWORD", "AUTH_DATABASE_PASSWORD", "AUTH_KEY_SECRET", "CURSOR_SECRET"},
        "task-service": {"REDIS_PASSWORD", "TASK_DATABASE_PASSWORD", "CURSOR_SECRET"},
        "focus-service": {"REDIS_PASSWORD", "FOCUS_DATABASE_PASSWORD", "CURSOR_SECRET"},
        "habit-service": {"REDIS_PASSWORD", "HABIT_DATABASE_PASSWORD", "CURSOR_SECRET"},
        "gateway": {"REDIS_PASSWORD"},
        "load-balancer": set(),
        "nginx": set(),
    }


def test_every_name_that_compose_takes_from_env_is_in_the_example(made: Path) -> None:
    taken = set(re.findall(r"\${(\w+)", (made / "docker-compose.yml").read_text()))
    offered = set(re.findall(r"^(?:# )?([A-Z_]+)=", (made / ".env.example").read_text(), re.MULTILINE))
    assert taken - {"COMPOSE_PROJECT_NAME"} <= offered  # that one is Compose's own


def test_an_image_is_built_from_the_folder_and_package_of_its_part(
    made: Path, compose: dict[str, Any]
) -> None:
    for name in PARTS:
        args = compose["services"][name]["build"]["args"]
        assert args["PART"] == name
        assert (made / name / args["PACKAGE"] / "__init__.py").is_file()
        assert (made / name / "pyproject.toml").is_file()


def test_the_images_run_as_an_ordinary_user_and_get_no_secret(made: Path) -> None:
    dockerfile = (made / "docker" / "Dockerfile.python").read_text()
    stages = re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)[2:]
    assert len(stages) == 2
    for stage in stages:
        assert re.findall(r"^USER (.*)$", stage, re.MULTILINE) == ["focushub"]
    assert not re.search(r"^(ARG|ENV) .*(SECRET|PASSWORD)", dockerfile, re.MULTILINE)
    assert {".env", ".env.*", ".git/"} <= set((made / ".dockerignore").read_text().splitlines())


def test_nginx_overwrites_what_a_client_says_about_where_it_comes_from(made: Path) -> None:
    conf = (made / "nginx" / "templates" / "default.conf.template").read_text()
    fields = dict(re.findall(r"proxy_set_header (\S+) +(\S+);", conf))
    assert fields == {
        "Connection": '""',
        "Forwarded": '""',
        "Host": "$host",
        "X-Forwarded-For": "$remote_addr",
        "X-Forwarded-Host": "$host",
        "X-Forwarded-Port": '""',
        "X-Forwarded-Proto": "$scheme",
        "X-Real-IP": '""',
        "X-Request-Id": "$known_request_id",
    }


def test_nginx_gets_what_its_file_asks_of_the_environment(made: Path, compose: dict[str, Any]) -> None:
    conf = (made / "nginx" / "templates" / "default.conf.template").read_text()
    assert set(re.findall(r"\${(\w+)}", conf)) == set(compose["services"]["nginx"]["environment"])


PATHS = [
    ("/v1/tasks", True),
    ("/v1", True),
    ("/docs", True),
    ("/docs/app.js", True),
    ("/openapi.json", True),
    ("/.well-known/jwks.json", True),
    ("/console/", True),
    ("/", False),
    ("/internal/x", False),
    ("/v1x", False),
    ("/docs.html", False),
    ("/openapi.json/x", False),
    ("/metrics", False),
    ("/livez", False),
    ("/x/v1/tasks", False),
]


@pytest.mark.parametrize(("path", "passed"), PATHS)
def test_nginx_passes_the_gateways_paths_and_no_others(made: Path, path: str, passed: bool) -> None:
    conf = (made / "nginx" / "templates" / "default.conf.template").read_text()
    found = re.search(r"location ~ (\S+) {", conf)
    assert found is not None
    assert bool(re.search(found[1], path)) == passed
