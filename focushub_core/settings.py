"""Typed settings from the environment and ``.env``.

Rules that hold here:

* A process' environment wins over the stack's ``.env``, which wins over ``.focushub/run.env`` (the addresses of the
  local stack that is running); what no layer says has the default written beside the field. An empty value says
  nothing.
* A field ``database_url`` is the setting ``DATABASE_URL``; for the service ``task``, ``TASK_DATABASE_URL`` comes first.
* Every missing or wrong setting is named at once, by its name in the environment, and never with its value.
* A `Secret` is never shown: not by ``repr``, ``str`` or a format, and so in no log and no error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_origin
from urllib.parse import urlsplit

import msgspec

from focushub_core.errors import ConfigurationError, FieldError
from focushub_core.rules import Rule, choices, plain
from focushub_core.stack import find_root
from focushub_core.validation import check

LAYERS = (".focushub/run.env", ".env")
"""Files below the stack's folder, the weakest first."""


_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^\[\]:]+)(?::[0-9]{1,5})?")


class Secret:
    """A text that must not be shown; `reveal` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: for the call that needs it, and nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def _address(example: str, *schemes: str) -> Rule:
    """An address with one of ``schemes``. What is wrong is said without a word of it: a password may stand in it."""
    wrong = f"This is no address such as {example}."
    may_be_a_socket = "http" not in schemes

    def why(value: Secret | str) -> str | None:
        text = value.reveal() if isinstance(value, Secret) else value
        try:
            found = urlsplit(text)
        except ValueError:
            return wrong
        hosts = found.netloc.rpartition("@")[2].split(
            ","
        )  # PostgreSQL's may be several, or a socket and none
        whole = all(_HOST.fullmatch(host) for host in hosts if host) and (any(hosts) or may_be_a_socket)
        return None if whole and found.scheme in schemes else wrong

    return Rule("wrong_format", why)


DatabaseUrl = Annotated[
    Secret, _address("postgresql://role:password@host:5432/database", "postgresql", "postgres")
]
RedisUrl = Annotated[Secret, _address("redis://:password@host:6379", "redis", "rediss", "unix")]
HttpUrl = Annotated[str, _address("http://host:3001/path", "http", "https")]


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename=str.upper):
    """What every part of a stack reads; a part with settings of its own subclasses it.

    ``focushub_env`` alone switches between development and production (verified e-mail, error detail, log form,
    demo login); everything else is a setting of its own.
    """

    focushub_env: Literal["development", "production"] = "development"
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    """``None``: the port that ``focushub.toml`` names; 0: a free one."""
    instance: str | None = None
    """The name of this very process in logs and `Via`, such as ``gateway-2``; the part's name where left out."""
    log_format: Literal["text", "json"] | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    drain_seconds: Annotated[float, msgspec.Meta(ge=0, le=300)] = 4.0
    """How long readiness says 503 before the port closes: two rounds of the balancer's checks."""

    request_seconds: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 30.0
    """How long a request may take, where its sender does not say that it waits less long (`focushub_core.deadline`)."""

    explain_secret: Secret | None = None
    """Who sends it in ``X-Explain`` is told how a request was served (`focushub_core.telemetry.explain`)."""

    @property
    def production(self) -> bool:
        """Whether this runs for other people."""
        return self.focushub_env == "production"

    @property
    def logs_as_json(self) -> bool:
        """Whether a log line is JSON: said by ``LOG_FORMAT``, else so in production."""
        return self.log_format == "json" if self.log_format else self.production


S = TypeVar("S", bound=Settings)


def read_layers(root: Path | None, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """All settings by name, the stronger layer winning; ``root`` is the stack's folder."""
    from dotenv import dotenv_values  # who is given settings reads no file

    values: dict[str, str] = {}
    for layer in LAYERS if root else ():
        found = dotenv_values(root / layer, interpolate=False)  # type: ignore[operator]
        values.update({name: text for name, text in found.items() if text})
    values.update({name: text for name, text in (os.environ if environ is None else environ).items() if text})
    return values


def load(
    wanted: type[S],
    *,
    owner: str = "",
    root: Path | None = None,
    environ: Mapping[str, str] | None = None,
    required: Collection[str] = (),
) -> S:
    """Reads ``wanted`` for the service ``owner`` (its key, such as ``task``).

    ``root`` is the stack's folder; where left out it is looked for from the working directory upwards. ``required``
    names settings that this owner cannot do without though they have a default. Raises `ConfigurationError` that
    names every missing or wrong setting.
    """
    values = read_layers(root or find_root(Path.cwd()), environ)
    prefix = f"{owner.upper().replace('-', '_')}_" if owner else ""
    given: dict[str, Any] = {}
    own_names: dict[str, str] = {}
    for field in msgspec.structs.fields(wanted):
        common, own = field.encode_name, prefix + field.encode_name
        text = values.get(own, values.get(common))
        own_names[common] = own
        if text is not None:
            given[common] = _typed(text, field.type)
    wrong = check(given, wanted, strict=False)
    wrong += [FieldError(name, "missing", "") for name in required if name not in given]
    if wrong:
        raise ConfigurationError(
            "; ".join(_say(problem, own_names[problem.field.partition("[")[0]], values) for problem in wrong)
        )
    return msgspec.convert(given, wanted, strict=False)


def export(prefix: str, root: Path | None = None) -> None:
    """Puts what the files say under names with ``prefix`` into the environment, for a library that reads only that."""
    for name, text in read_layers(root or find_root(Path.cwd())).items():
        if name.startswith(prefix):
            os.environ.setdefault(name, text)


def made_up(wanted: type[S], owner: str, *more: str) -> S:
    """``wanted`` where nobody runs anything: what is required is made up, and so is ``more`` (names)."""
    fields = [
        field for field in msgspec.structs.fields(wanted) if field.required or field.encode_name in more
    ]
    given = {field.encode_name: _typed("made-up-" * 8, field.type) for field in fields}
    return msgspec.convert(given, wanted, strict=False)


def _typed(text: str, wanted: Any) -> object:
    """Text as what msgspec can judge: secrets wrapped, comma lists split."""
    kinds = [plain(choice)[0] for choice in choices(plain(wanted)[0])]
    if Secret in kinds:
        return Secret(text)
    if any(get_origin(kind) is tuple for kind in kinds):
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _say(problem: FieldError, own: str, values: Mapping[str, str]) -> str:
    """The problem with a setting, by the name under which it was said or could be."""
    if problem.code == "missing":
        names = " or ".join(dict.fromkeys((own, problem.field)))
        return f"{names} is not set (in the environment or .env)"
    return f"{own if own in values else problem.field}: {problem.detail}"
