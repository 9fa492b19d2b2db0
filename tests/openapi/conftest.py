"""The generated services, imported where their templates lie."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from focushub_core import Service

OVERLAYS = Path(__file__).parents[2] / "templates" / "overlays"
SERVICES = {
    "auth": ("auth_service.app", "AuthService"),
    "task": ("task_service.service", "TaskService"),
    "focus": ("focus_service.service", "FocusService"),
    "habit": ("habit_service.service", "HabitService"),
}


@pytest.fixture(params=sorted(SERVICES))
def generated(request: pytest.FixtureRequest) -> type[Service]:
    """Each of the generated services in turn."""
    key: str = request.param
    for folder in (OVERLAYS / "base" / "shared", OVERLAYS / key / f"{key}-service"):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    module, name = SERVICES[key]
    found: type[Service] = getattr(import_module(module), name)
    return found
