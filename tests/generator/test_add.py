"""A further service joins a stack whole or not at all, and what its owner wrote stays as it is."""

from __future__ import annotations

import ast
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from focushub_core import stack
from focushub_core.errors import ConfigurationError
from focushub_generator import add as module
from focushub_generator import cli, render, secrets
from focushub_generator.add import add
from focushub_generator.addition import addition, filled
from focushub_generator.plan import plan
from focushub_generator.resources import inventory
from focushub_generator.spec import stack_spec

Tree = dict[str, tuple[int, bytes | str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stack ``shop`` as it is generated, with its secrets."""
    root = render.carry_out(plan(stack_spec("shop"), inventory()), tmp_path_factory.mktemp("add"))
    shutil.rmtree(root / "kubernetes")
    secrets.write_env(root)
    return root


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Path:
    """That stack, the test's own."""
    return Path(shutil.copytree(made, tmp_path / "shop", symlinks=True))


def tree(root: Path) -> Tree:
    """Every file, folder and link with its mode and content."""
    return {
        path.relative_to(root).as_posix(): (
            stat.S_IMODE(path.lstat().st_mode),
            str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else "",
        )
        for path in root.rglob("*")
    }


# What it is given ------------------------------------------------------------------------------------------------


def test_it_gets_a_folder_and_one_table_from_which_everything_follows(shop: Path) -> None:
    before = stack.load(shop)
    add(shop, "notes")
    after = stack.load(shop)
    notes = after.services["notes"]
    assert {**before.services, "notes": notes} == after.services
    assert (notes.port, notes.database, notes.prefixes) == (3005, "shop_notes", ("/v1/notes",))
    assert (notes.public, notes.day_aware, notes.keyed) == ((), (), ("/v1/notes",))
    assert (shop / notes.name / notes.package / "__main__.py").is_file()
    assert (shop / notes.migrations / "0001_items.sql").is_file()


def test_nothing_else_is_touched_and_files_only_get_longer(shop: Path) -> None:
    before = tree(shop)
    done = add(shop, "notes")
    after = tree(shop)
    grown = {file for file in before if before[file] != after[file]}
    assert (
        grown
        == set(done.longer)
        == {
            ".env",
            ".env.example",
            "compose/services.development.yml",
            "compose/services.yml",
            "focushub.toml",
            "monitoring/prometheus/prometheus.yml",
        }
    )
    for file in grown - {"compose/services.development.yml", "compose/services.yml"}:
        (mode, text), (new_mode, new_text) = before[file], after[file]
        assert mode == new_mode
        assert isinstance(text, bytes)
        assert isinstance(new_text, bytes)
        assert new_text.startswith(text)
    new = {file for file in after if file not in before}
    assert all(file.startswith(("notes-service", "compose/notes-service.")) for file in new)


EDITED = {
    "comments, odd spaces, another order": (
        b"# mine\n[limits.user]   # tight\nquota=1\nby =  'user'\n\n\n[stack]\nname = 'shop'  # so be it\n"
        b"[services . task]\nport = 3_002\nprefixes = [\n  '/v1/tasks', # all\n]\n"
    ),
    "the last line without an end": b"[stack]\nname = 'shop'",
    "lines as Windows ends them": b"[stack]\r\nname = 'shop'\r\n# mine\r\n",
    "not only ASCII": "[stack]\nname = 'shop' # \N{LATIN SMALL LETTER E WITH ACUTE}\N{SNOWMAN}\n".encode(),
}


@pytest.mark.parametrize("text", EDITED.values(), ids=EDITED.keys())
def test_a_file_that_its_owner_has_edited_keeps_every_byte(shop: Path, text: bytes) -> None:
    file = shop / "focushub.toml"
    file.write_bytes(text)
    add(shop, "notes")
    written = file.read_bytes()
    assert written.startswith(text)
    assert (b"\n" in written.replace(b"\r\n", b"")) == (b"\r\n" not in text)
    assert "notes" in stack.load(shop).services


@pytest.mark.parametrize("name", ["notes", "order-book", "a", "on-call", "samples", "x2"])
def test_the_template_is_filled_to_its_last_word(shop: Path, name: str) -> None:
    done = add(shop, name)
    service = done.service
    files = [path for path in shop.rglob("*") if path.is_file() and service.name in path.as_posix()]
    assert len(files) > 8
    for path in files:
        text = path.read_text()
        assert "sample" not in text.lower().replace(name, "")
        assert "3999" not in text
        assert "sample" not in path.relative_to(shop).as_posix().replace(name, "")
        if path.suffix == ".py":
            ast.parse(text)
    main = (shop / service.name / service.package / "__main__.py").read_text()
    assert f"python -m {service.package}" in main
    assert f'name = "{service.name}"' in (shop / service.name / service.package / "service.py").read_text()


def test_words_are_replaced_whole_and_once() -> None:
    words = {"sample": "port", "port": "x", "sample-service": "port-service"}
    text = "sample port samples resample sample_ sample-service (sample)"
    assert filled(text, words) == "port x samples resample sample_ port-service (port)"


def test_its_name_may_be_given_as_its_folder(shop: Path) -> None:
    assert add(shop, "notes-service").service.key == "notes"


def test_without_a_port_it_gets_the_next_free_one(shop: Path) -> None:
    assert [add(shop, name).service.port for name in ("a", "b", "c")] == [3005, 3006, 3007]
    assert add(shop, "d", 3010).service.port == 3010
    assert [add(shop, name).service.port for name in ("e", "f", "g")] == [3008, 3009, 3011]


def test_a_gateways_port_is_none_that_is_free(shop: Path) -> None:
    file = shop / "focushub.toml"
    file.write_text(file.read_text().replace("port = 3000 ", "port = 2905 "))
    assert add(shop, "notes").service.port == 3006


# Secrets ---------------------------------------------------------------------------------------------------------


def password(shop: Path) -> list[str]:
    lines = (shop / ".env").read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith("NOTES_DATABASE_PASSWORD=")]


def test_it_gets_a_fresh_password_and_the_example_a_line_without_one(shop: Path) -> None:
    add(shop, "notes")
    assert [len(secret) for secret in password(shop)] == [43]
    assert (shop / ".env.example").read_text().endswith("\nNOTES_DATABASE_PASSWORD=\n")


def test_a_password_that_is_there_stays(shop: Path) -> None:
    with (shop / ".env").open("a") as env:
        env.write("NOTES_DATABASE_PASSWORD=mine\n")
    assert ".env" not in add(shop, "notes").longer
    assert password(shop) == ["mine"]


def test_without_env_none_is_made_and_prepare_fills_it_later(shop: Path) -> None:
    (shop / ".env").unlink()
    add(shop, "notes")
    assert not (shop / ".env").exists()
    secrets.write_env(shop)
    assert [len(secret) for secret in password(shop)] == [43]


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_envs_mode_stays(shop: Path, mode: int) -> None:
    (shop / ".env").chmod(mode)
    add(shop, "notes")
    assert stat.S_IMODE((shop / ".env").stat().st_mode) == mode


def test_a_link_stays_one(shop: Path) -> None:
    (shop / ".env").rename(shop.parent / "secrets")
    (shop / ".env").symlink_to(shop.parent / "secrets")
    add(shop, "notes")
    assert (shop / ".env").is_symlink()
    assert len(password(shop)) == 1


# Containers ------------------------------------------------------------------------------------------------------


HABITS_TO_NOTES = {
    "HABIT_DATABASE_PASSWORD:?run focushub prepare": "NOTES_DATABASE_PASSWORD:?see .env.example",
    "HABIT": "NOTES",
    "habit-service": "notes-service",
    "habit_service": "notes_service",
    "shop_habits": "shop_notes",
    "migrate": "notes-migrate",
    "3004": "3005",
}


def parsed(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def test_its_containers_are_as_those_of_a_bundled_service(shop: Path) -> None:
    """But for its own migrations' job, so that Compose's own file stays as it is."""
    add(shop, "notes")
    bundled = parsed(shop / "docker-compose.yml")["services"]
    added = parsed(shop / "compose/notes-service.yml")["services"]
    assert set(added) == {"notes-service", "notes-migrate"}
    assert added["notes-service"] == _renamed(bundled["habit-service"], HABITS_TO_NOTES)
    job, model = added["notes-migrate"], bundled["migrate"]
    assert job["command"] == ["focushub", "migrate", "/stack", "--service=notes-service"]
    assert set(job["environment"]) == {"POSTGRES_ADMIN_URL", "NOTES_DATABASE_URL"}
    assert job["environment"]["POSTGRES_ADMIN_URL"] == model["environment"]["POSTGRES_ADMIN_URL"]
    assert all(job[key] == model[key] for key in model if key not in ("command", "environment"))


def test_so_are_they_in_the_development_form(shop: Path) -> None:
    add(shop, "notes")
    bundled = parsed(shop / "docker-compose.override.yml")["services"]["habit-service"]
    added = parsed(shop / "compose/notes-service.development.yml")["services"]
    assert added == {"notes-service": _renamed(bundled, HABITS_TO_NOTES)}


def _renamed(entry: Any, words: dict[str, str]) -> Any:
    text = yaml.safe_dump(entry, width=1000)
    for old, new in words.items():
        text = text.replace(old, new)
    return yaml.safe_load(text)


def test_the_job_of_the_bundled_services_leaves_it_alone(shop: Path) -> None:
    add(shop, "notes")
    command = parsed(shop / "docker-compose.yml")["services"]["migrate"]["command"]
    assert command[:3] == ["focushub", "migrate", "/stack"]
    assert command[3:] == [f"--service={key}-service" for key in ("auth", "task", "focus", "habit")]


def test_compose_takes_in_each_that_joined(shop: Path) -> None:
    for name in ("notes", "order-book"):
        assert add(shop, name).advice == ()
    for form, owner in (("", "docker-compose.yml"), (".development", "docker-compose.override.yml")):
        files = [f"compose/notes-service{form}.yml", f"compose/order-book-service{form}.yml"]
        expected = [{"path": file, "project_directory": "."} for file in files]
        assert parsed(shop / f"compose/services{form}.yml") == {"include": expected}
        own = parsed(shop / owner)["include"]
        assert {"path": f"compose/services{form}.yml", "project_directory": "."} in own


def test_an_owner_whose_compose_file_takes_in_no_more_services_is_told(shop: Path) -> None:
    (shop / "docker-compose.yml").write_text("services: {}\n")
    shutil.rmtree(shop / "compose")
    (line, other) = add(shop, "notes").advice
    assert line.startswith("docker-compose.yml does not include compose/services.yml")
    assert other.startswith("docker-compose.override.yml does not include")
    assert (shop / "compose/notes-service.yml").is_file()


def test_prometheus_watches_it_as_it_does_the_others(shop: Path) -> None:
    file = shop / "monitoring/prometheus/prometheus.yml"
    before = parsed(file)
    assert add(shop, "notes").advice == ()
    model = next(job for job in before["scrape_configs"] if job["job_name"] == "habit-service")
    jobs = [*before["scrape_configs"], _renamed(model, HABITS_TO_NOTES)]
    assert parsed(file) == before | {"scrape_configs": jobs}


def test_an_owner_whose_prometheus_is_set_up_in_another_order_is_told(shop: Path) -> None:
    file = shop / "monitoring/prometheus/prometheus.yml"
    file.write_text("scrape_configs:\n  - job_name: x\nglobal: {}\n")
    (line,) = add(shop, "notes").advice
    assert line.startswith("monitoring/prometheus/prometheus.yml does not end with its jobs")
    assert file.read_text() == "scrape_configs:\n  - job_name: x\nglobal: {}\n"


def test_who_has_manifests_is_told_that_they_do_not_run_it(shop: Path) -> None:
    (shop / "kubernetes/base").mkdir(parents=True)
    (shop / "kubernetes/base/services.yaml").write_text("# ours\n")
    (line,) = add(shop, "notes").advice
    assert line.startswith("Kubernetes does not run it yet")
    assert (shop / "kubernetes/base/services.yaml").read_text() == "# ours\n"


def test_an_owner_who_watches_it_otherwise_is_told_nothing(shop: Path) -> None:
    shutil.rmtree(shop / "monitoring")
    assert add(shop, "notes").advice == ()
    assert not (shop / "monitoring").exists()


@pytest.mark.skipif(shutil.which("docker") is None, reason="there is no docker to ask")
@pytest.mark.parametrize("form", [["-f", "docker-compose.yml"], []])
def test_compose_itself_finds_nothing_wrong(shop: Path, form: list[str]) -> None:
    add(shop, "notes")
    command = ["docker", "compose", *form, "config", "--services"]
    done = subprocess.run(command, cwd=shop, capture_output=True, text=True, timeout=30)
    if "is not a docker command" in done.stderr:
        pytest.skip("there is no Compose to ask")
    assert done.returncode == 0, done.stderr
    assert {"notes-service", "notes-migrate", "task-service"} <= set(done.stdout.split())


# What is refused -------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[list[str], str]] = {
    "a taken name": (["task"], "there is a service task already, on port 3002"),
    "a taken name, as its folder": (["task-service"], "there is a service task already"),
    "a taken prefix": (["projects"], "/v1/projects is taken by task-service"),
    "a taken database": (["tasklist"], "the database shop_tasklist is taken by habit-service"),
    "a service's port": (["notes", "--port", "3002"], "port 3002 is taken by task-service"),
    "the gateway's port": (["notes", "--port", "3000"], "port 3000 is taken by gateway-1"),
    "a further gateway's port": (["notes", "--port", "3400"], "port 3400 is taken by gateway-5"),
    "the balancer's port": (["notes", "--port", "8080"], "port 8080 is taken by the load balancer"),
    "Redis' port": (["notes", "--port", "6379"], "port 6379 is taken by Redis"),
    "NGINX's port": (["notes", "--port", "80"], "port 80 is taken by NGINX"),
    "no port": (["notes", "--port", "0"], "port 0 is not usable"),
    "too high a port": (["notes", "--port", "40000"], "port 40000 is not usable"),
    "an empty name": ([""], "it is empty"),
    "a path": (["../notes"], "it is a path"),
    "an absolute path": (["/notes"], "it is a path"),
    "not ASCII": (["n\N{LATIN SMALL LETTER O WITH DIAERESIS}tes"], "only the letters a to z"),
    "too long": (["n" * 32], "too long; use at most 31"),
    "far too long": (["n" * 3000], "too long; use at most 31"),
    "a word of Python": (["class"], "Python's grammar"),
    "a part": (["gateway"], "reserved"),
    "the gateway's own path": (["dashboard"], "reserved"),
    "a word that YAML reads otherwise": (["yes"], "reserved"),
    "a capital": (["Notes"], "begin with a letter"),
    "an underscore": (["my_notes"], "begin with a letter"),
    "a line's end": (["notes\n"], "begin with a letter"),
}


@pytest.mark.parametrize(("words", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_bad_or_taken_is_one_clear_line_and_nothing_changes(
    shop: Path, words: list[str], reason: str
) -> None:
    file = shop / "focushub.toml"
    file.write_text(file.read_text().replace('"shop_habits"', '"shop_tasklist"'))
    refused(shop, words, reason)


@pytest.mark.parametrize("there", ["notes-service", "compose/notes-service.yml"])
@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_there_already_is_left_alone(shop: Path, there: str, kind: str) -> None:
    path = shop / there
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to("nowhere")
    refused(shop, ["notes"], f"{there} is there already")


BROKEN = {
    "no TOML": ("[stack", "focushub.toml is not valid TOML"),
    "a wrong table": ("[stack]\nname = 'shop'\nport = 'x'\n", "focushub.toml is not usable"),
    "services in one line": ("services = {}\n[stack]\nname = 'shop'\n", "focushub.toml is not valid TOML"),
}


@pytest.mark.parametrize(("text", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_stacks_file_to_which_nothing_can_be_added_is_one_clear_line(
    shop: Path, text: str, reason: str
) -> None:
    (shop / "focushub.toml").write_text(text)
    refused(shop, ["notes"], reason)


def refused(shop: Path, words: list[str], reason: str) -> None:
    before = tree(shop)
    name, *options = words
    result = CliRunner().invoke(cli.main, ["add", "service", *options, "--", name, str(shop)])
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert reason in line
    assert line.isascii()
    assert len(line) < 300
    assert tree(shop) == before


def test_a_long_stacks_name_leaves_room_for_the_database(tmp_path: Path) -> None:
    """PostgreSQL would cut what is longer than 63 bytes, and two could become one."""
    shop = stack.parse(f"[stack]\nname = '{'s' * 40}'", tmp_path)
    assert len(str(addition(shop, "n" * 22).service.database)) == 63
    with pytest.raises(ConfigurationError, match="at most 22"):
        addition(shop, "n" * 23)


@given(st.one_of(st.text(max_size=40), st.from_regex(r"[a-z][a-z0-9-]{0,35}", fullmatch=True)))
@example("a-service")
@example("-service")
def test_whatever_name_is_taken_is_safe_in_every_place(name: str) -> None:
    shop = stack.parse("[stack]\nname = 'shop'", Path("/shop"))
    try:
        service = addition(shop, name).service
    except ConfigurationError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert (refusal or "none").isascii()
    assert (refusal or "none").isprintable()
    if refusal:
        return
    assert service.package.isidentifier()
    assert Path(service.name).parts == (service.name,)
    assert stack.Key.match(service.key)
    assert service.variable.isidentifier()


# Failures in the middle ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", range(9))
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_anywhere_leaves_everything_as_it_was(
    shop: Path, monkeypatch: pytest.MonkeyPatch, call: int, error: BaseException
) -> None:
    """Three moves, then six files that get longer; a full disk takes half of what is written."""
    before = tree(shop)
    calls: Iterator[int] = iter(range(1000))
    move, rewrite = module._move, module._rewrite

    def failing_move(made: Path, target: Path, undo: Any) -> None:
        if next(calls) == call:
            raise error
        move(made, target, undo)

    def failing_rewrite(path: Path, old: str, new: str) -> None:
        if next(calls) == call:
            rewrite(path, old, new[: (len(old) + len(new)) // 2])
            raise error
        rewrite(path, old, new)

    monkeypatch.setattr(module, "_move", failing_move)
    monkeypatch.setattr(module, "_rewrite", failing_rewrite)
    with pytest.raises(type(error)):
        add(shop, "notes")
    monkeypatch.undo()
    assert tree(shop) == before


def test_the_stacks_file_is_the_last_to_change(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever kills the command before that, the stack runs as it did."""
    order: list[str] = []
    rewrite = module._rewrite
    monkeypatch.setattr(
        module, "_rewrite", lambda path, *texts: (order.append(path.name), rewrite(path, *texts))
    )
    add(shop, "notes")
    assert order[-1] == "focushub.toml"


def test_two_at_once_both_join(shop: Path) -> None:
    names = [f"n{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        ports = list(pool.map(lambda name: add(shop, name).service.port, names))
    assert sorted(ports) == list(range(3005, 3011))
    assert set(names) <= set(stack.load(shop).services)


# The command -----------------------------------------------------------------------------------------------------


def test_it_says_what_it_did_and_the_next_two_commands(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop / "gateway")
    result = CliRunner().invoke(cli.main, ["add", "service", "notes"])
    assert (result.exit_code, result.stderr) == (0, "")
    words = " ".join(result.stdout.split())
    assert words.startswith("Added notes-service to shop: port 3005, database shop_notes, path /v1/notes ")
    place = os.path.relpath(shop)
    for said in (
        "new notes-service",
        "longer focushub.toml",
        f"cd {place}/notes-service && python -m pytest",
    ):
        assert said in words
    assert f"focushub up {place} #" in words
