"""`focushub logs`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from focushub_core.errors import ConfigurationError
from focushub_generator.local import reading


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A stack with logs of two parts, one of them turned over."""
    folder = tmp_path / ".focushub" / "logs"
    folder.mkdir(parents=True)
    for name, numbers in (("gateway-1.log.1", (1,)), ("gateway-1.log", (3, 5)), ("task-service.log", (2, 4))):
        lines = [
            {"ts": f"t{number}", "message": f"m{number}", "request_id": f"r{number % 2}"}
            for number in numbers
        ]
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    with (folder / "task-service.log").open("a") as file:
        file.write('{"ts": "t9", "mess')
    return tmp_path


def messages(shown: str) -> list[str]:
    return [word for line in shown.splitlines() for word in line.split() if word.startswith("m")]


@pytest.mark.parametrize(
    ("service", "request_id", "expected"),
    [
        (None, None, ["m1", "m2", "m3", "m4", "m5"]),
        ("task-service", None, ["m2", "m4"]),
        ("gateway", None, ["m1", "m3", "m5"]),
        (None, "r0", ["m2", "m4"]),
        ("gateway-1", "r0", []),
    ],
)
def test_lines_are_shown_in_order_of_time_and_chosen_by_part_and_request(
    root: Path,
    capsys: pytest.CaptureFixture[str],
    service: str | None,
    request_id: str | None,
    expected: list[str],
) -> None:
    assert reading.show(root, service=service, request=request_id, follow=False) == 0
    assert messages(capsys.readouterr().out) == expected


def test_an_unknown_part_is_named_with_those_that_have_a_log(root: Path) -> None:
    with pytest.raises(ConfigurationError, match="nix has no log; there are gateway-1, task-service"):
        reading.show(root, service="nix", request=None, follow=False)


def test_a_stack_that_never_ran_has_no_logs(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there are no logs"):
        reading.show(tmp_path, service=None, request=None, follow=False)


def test_following_shows_whole_new_lines_and_a_file_that_was_begun_anew(root: Path) -> None:
    path = root / ".focushub" / "logs" / "task-service.log"
    place = path.stat().st_size
    with path.open("a") as file:
        file.write('age": "late"}\n{"half')
    grown, place = reading._grown(path, place)
    assert grown == [b'age": "late"}']
    path.write_text('{"message": "fresh"}\n')
    assert reading._grown(path, place)[0] == [b'{"message": "fresh"}']
