"""A plan is made of a spec and a list of files, and of nothing else."""

from __future__ import annotations

import pytest

from focushub_core.errors import ConfigurationError
from focushub_generator.plan import RENDERED, Copy, environment, plan
from focushub_generator.spec import stack_spec

SPEC = stack_spec("my-stack")


def test_rendered_files_and_every_layer_go_to_their_places() -> None:
    steps = plan(
        SPEC,
        [
            "docker/Dockerfile.python",
            "nginx/templates/default.conf.template",
            "templates/README.md",
            "templates/overlays/base/.gitignore",
            "templates/overlays/other/other-service/pyproject.toml",
            "templates/overlays/task/task-service/task_service/__main__.py",
            f"{RENDERED}focushub.toml",
        ],
    )
    assert steps.rendered == ("focushub.toml",)
    assert steps.copies == (
        Copy("templates/overlays/base/.gitignore", ".gitignore"),
        Copy(
            "templates/overlays/task/task-service/task_service/__main__.py",
            "task-service/task_service/__main__.py",
        ),
        Copy("nginx/templates/default.conf.template", "nginx/templates/default.conf.template"),
        Copy("docker/Dockerfile.python", "docker/Dockerfile.python"),
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f"{RENDERED}README.md", "templates/overlays/base/README.md"),
        ("templates/overlays/auth/shared/x.py", "templates/overlays/task/shared/x.py"),
        ("templates/overlays/base/nginx/x", "nginx/x"),
    ],
)
def test_two_layers_with_the_same_file_are_refused_by_its_name(first: str, second: str) -> None:
    with pytest.raises(ConfigurationError, match="is written twice"):
        plan(SPEC, [first, second])


def test_a_service_gets_its_own_database_and_no_other_services_secret() -> None:
    secrets = {service.key: set(environment(service)) for service in SPEC.services}
    assert secrets == {
        "auth": {"AUTH_DATABASE_URL", "AUTH_KEY_SECRET", "CURSOR_SECRET"},
        "task": {"TASK_DATABASE_URL", "CURSOR_SECRET"},
        "focus": {"FOCUS_DATABASE_URL", "CURSOR_SECRET"},
        "habit": {"HABIT_DATABASE_URL", "CURSOR_SECRET"},
    }
