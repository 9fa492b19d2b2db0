"""A stack's name is checked before anything is written."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from focushub_core.errors import ConfigurationError
from focushub_generator.spec import MAX_NAME, check_name, stack_spec

REFUSED = {
    "": "is empty",
    "  ": "is empty",
    "../x": "is a path",
    "/x": "is a path",
    "..": "is a path",
    ".": "is a path",
    "a/b": "is a path",
    "a\\b": "is a path",
    "café": "letters a to z",
    "стек": "letters a to z",
    "x\N{ZERO WIDTH SPACE}y": "letters a to z",
    "a" * 60: "too long",
    "a" * (MAX_NAME + 1): "too long",
    "class": "Python's grammar",
    "import": "Python's grammar",
    "None": "Python's grammar",
    "postgres": "PostgreSQL",
    "template0": "PostgreSQL",
    "template1": "PostgreSQL",
    "pg_catalog": "PostgreSQL",
    "pg-stack": "PostgreSQL",
    "gateway": "reserved",
    "load-balancer": "reserved",
    "task-service": "reserved",
    "redis": "reserved",
    "yes": "reserved",
    "null": "reserved",
    "con": "reserved",
    "My-Stack": "begin with a letter",
    "my_stack": "begin with a letter",
    "1st": "begin with a letter",
    "-x": "begin with a letter",
    "x-": "begin with a letter",
    "x--y": "begin with a letter",
    "x y": "begin with a letter",
    "x\n": "begin with a letter",
    "x;rm": "begin with a letter",
    "{{x}}": "begin with a letter",
}


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_a_name_that_cannot_be_one_is_refused_in_one_line_that_says_what_to_do(
    name: str, reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason) as refusal:
        check_name(name)
    line = str(refusal.value)
    assert line.isprintable()
    assert line.isascii()
    assert len(line) < 200


@pytest.mark.parametrize(
    "name", ["focushub", "my-stack", "a", "shop2", "a1-b2-c3", "a" * MAX_NAME, "postgres-shop"]
)
def test_an_ordinary_name_is_taken(name: str) -> None:
    assert stack_spec(name).name == name


@given(st.one_of(st.text(max_size=50), st.from_regex(r"[a-z][a-z0-9-]{0,45}", fullmatch=True)))
@example("../x")
def test_whatever_is_taken_is_safe_as_a_folder_a_host_and_a_database(name: str) -> None:
    try:
        spec = stack_spec(name)
    except ConfigurationError:
        return
    assert PurePosixPath(name).parts == (name,)
    assert len(f"{name}-load-balancer-1") <= 63
    for service in spec.services:
        assert service.database is not None
        assert service.database.isidentifier()
        assert service.database.islower()
        assert len(service.database) <= 63
        assert not service.database.startswith("pg_")


def test_databases_begin_with_the_name_its_hyphens_as_underscores() -> None:
    databases = [service.database for service in stack_spec("my-stack").services]
    assert databases == ["my_stack_auth", "my_stack_tasks", "my_stack_focus", "my_stack_habits"]


def test_the_services_have_the_ports_and_names_of_the_contract() -> None:
    services = [(service.name, service.package, service.port) for service in stack_spec("focushub").services]
    assert services == [
        ("auth-service", "auth_service", 3001),
        ("task-service", "task_service", 3002),
        ("focus-service", "focus_service", 3003),
        ("habit-service", "habit_service", 3004),
    ]
