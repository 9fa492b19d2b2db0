"""Settings from the environment, `.env`, and the running stack."""

import pytest

from focushub_core import ConfigurationError, Secret, Settings
from focushub_core.settings import DatabaseUrl, HttpUrl, RedisUrl, load, made_up


class TaskSettings(Settings, frozen=True, kw_only=True):
    database_url: Secret
    origins: tuple[str, ...] = ()


URL = {"TASK_DATABASE_URL": "postgresql://secret-place"}


def test_a_services_own_name_wins_over_the_common_one():
    settings = load(
        TaskSettings, owner="task", environ={**URL, "DATABASE_URL": "x", "PORT": "1", "TASK_PORT": "2"}
    )
    assert (settings.database_url, settings.port) == (Secret("postgresql://secret-place"), 2)


def test_layers_the_environment_wins_over_dotenv_over_the_running_stack(tmp_path):
    (tmp_path / ".focushub").mkdir()
    (tmp_path / ".focushub/run.env").write_text("PORT=1\nHOST=run\nINSTANCE=run\n")
    (tmp_path / ".env").write_text("PORT=2\nHOST=dotenv\n")
    settings = load(Settings, root=tmp_path, environ={"PORT": "3"})
    assert (settings.port, settings.host, settings.instance) == (3, "dotenv", "run")


def test_an_empty_value_says_nothing():
    assert load(Settings, environ={"HOST": ""}).host == "127.0.0.1"


def test_a_comma_list_becomes_a_tuple():
    assert load(TaskSettings, owner="task", environ={**URL, "ORIGINS": "a, b,"}).origins == ("a", "b")


def test_every_problem_is_named_at_once_by_its_name_in_the_environment():
    with pytest.raises(ConfigurationError) as caught:
        load(TaskSettings, owner="task", environ={"PORT": "99999", "LOG_LEVEL": "LOUD"})
    for name in ("PORT", "LOG_LEVEL", "TASK_DATABASE_URL"):
        assert name in str(caught.value)


def test_a_setting_that_this_owner_needs_is_missed_even_if_it_has_a_default():
    with pytest.raises(ConfigurationError, match="TASK_INSTANCE or INSTANCE is not set"):
        load(Settings, owner="task", environ={}, required=("INSTANCE",))


def test_no_error_and_no_repr_shows_a_value():
    with pytest.raises(ConfigurationError) as caught:
        load(TaskSettings, owner="task", environ={**URL, "PORT": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "secret-place" not in repr(load(TaskSettings, owner="task", environ=URL))


@pytest.mark.parametrize("show", [str, repr, "{}".format, "%s".__mod__])
def test_a_secret_is_not_shown(show):
    assert "hunter2" not in show(Secret("hunter2"))


@pytest.mark.parametrize(
    ("environ", "as_json"),
    [
        ({}, False),
        ({"FOCUSHUB_ENV": "production"}, True),
        ({"LOG_FORMAT": "json"}, True),
        ({"FOCUSHUB_ENV": "production", "LOG_FORMAT": "text"}, False),
    ],
)
def test_the_log_form_follows_the_environment_unless_it_is_said(environ, as_json):
    assert load(Settings, environ=environ).logs_as_json is as_json


class ServingSettings(Settings, frozen=True, kw_only=True):
    database_url: DatabaseUrl
    redis_url: RedisUrl | None = None
    keys_url: HttpUrl | None = None


GOOD = {
    "DATABASE_URL": "postgresql://me:pa%2Fss@[::1]:5432/tasks?sslmode=require",
    "REDIS_URL": "redis://:pass@127.0.0.1:6379",
    "KEYS_URL": "https://auth/.well-known/jwks.json",
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"DATABASE_URL": "postgres://host/tasks"},
        {"DATABASE_URL": "postgresql://me:pass@/tasks?host=%2Frun%2Fpostgresql"},
        {"DATABASE_URL": "postgresql://me:pass@one:5432,two:5433/tasks"},
        {"REDIS_URL": "rediss://host"},
        {"REDIS_URL": "unix:///run/redis.sock"},
    ],
)
def test_an_address_is_taken_in_any_of_its_forms(more):
    assert load(ServingSettings, environ=GOOD | more).database_url.reveal() == (GOOD | more)["DATABASE_URL"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://me:hunter2@host/tasks"),
        ("DATABASE_URL", "me:hunter2@host"),
        ("DATABASE_URL", "postgresql://me:hunter2@host:port/tasks"),
        ("DATABASE_URL", "postgresql://me:hun/ter2@host/tasks"),
        ("DATABASE_URL", "postgresql://me:hunter2@one:5432,two:hunter2/tasks"),
        ("DATABASE_URL", "postgresql://me:hunter2@host:123456/tasks"),
        ("REDIS_URL", "http://:hunter2@host"),
        ("REDIS_URL", "redis://:hunter2@[::1/0"),
        ("KEYS_URL", "auth/hunter2"),
        ("KEYS_URL", "http:///hunter2"),
    ],
)
def test_what_is_no_address_is_refused_without_a_word_of_it(name, value):
    with pytest.raises(ConfigurationError, match=f"{name}: This is no address such as") as caught:
        load(ServingSettings, environ=GOOD | {name: value})
    assert "hun" not in str(caught.value)


def test_three_wrong_settings_are_named_at_once_a_secret_among_them():
    environ = {"DATABASE_URL": "mysql://me:hunter2@host/tasks", "PORT": "x", "DRAIN_SECONDS": "-1"}
    with pytest.raises(ConfigurationError) as caught:
        load(ServingSettings, environ=environ)
    assert [said.partition(":")[0] for said in str(caught.value).split("; ")] == [
        "PORT",
        "DRAIN_SECONDS",
        "DATABASE_URL",
    ]
    assert "hunter2" not in str(caught.value)


def test_settings_that_are_made_up_are_asked_for_nothing():
    assert made_up(ServingSettings, "keys", "REDIS_URL").keys_url is None
