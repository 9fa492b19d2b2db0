"""A process of a stack: what the balancer, the gateway and every service have in common.

Rules that hold here:

* Nothing is opened at import or in ``__init__``: resources are opened in `Part.open`, on a stack that closes them.
* It knows nothing of what answers requests, and imports no web framework: `focushub_core.web` and
  `focushub_core.proxy.part` do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import ClassVar, Self

from focushub_core import settings as settings_module
from focushub_core import stack as stack_module
from focushub_core.clock import Clock
from focushub_core.errors import ConfigurationError
from focushub_core.health import Check, Report, examine
from focushub_core.settings import Settings
from focushub_core.stack import Stack
from focushub_core.telemetry import logs
from focushub_core.telemetry.tracing import Tracer, tracer_of


class Part:
    """Subclass one that answers requests: `Service`, `Gateway`, `LoadBalancer`.

    ``settings`` are read from the environment where left out. ``stack`` is the stack's file where there is one.
    """

    name: ClassVar[str]
    """The part's name in its stack: ``load-balancer``, ``task-service``."""
    version: ClassVar[str] = "0.1.0"
    settings_type: ClassVar[type[Settings]] = Settings
    default_port: ClassVar[int] = 8000
    clock: Clock = Clock()
    """What handlers get by ``clock: Clock``."""
    draining = False
    """Whether it asks for no more work."""
    alone = False
    """Whether the process is this part's: then handlers' own spans are its, too."""

    def __init__(self, settings: Settings | None = None, *, stack: Stack | None = None) -> None:
        self.stack = stack
        self.settings = settings or self.load_settings(stack)
        self.checks: list[Check] = []
        self.shown: dict[str, Callable[[], object]] = {}
        """Further states for ``/readyz?verbose``, by name."""

    # What a subclass may say --------------------------------------------------------------------------------

    @classmethod
    def key(cls) -> str:
        """The name without ``-service``: its own settings begin with it (``TASK_DATABASE_URL``)."""
        return cls.name.removesuffix("-service")

    def port_in(self, stack: Stack) -> int | None:
        """The port that the stack's file gives this part."""
        return None

    async def open(self, resources: AsyncExitStack) -> None:
        """Opens what the part needs while it runs; ``resources`` closes it. Call ``super().open(resources)`` first."""

    def serve(self) -> int:
        """Serves until a signal; the process' exit status."""
        raise NotImplementedError

    # What it does -------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """Where it listens: ``PORT``, else what the stack's file says, else ``default_port``."""
        if self.settings.port is not None:
            return self.settings.port
        return (self.port_in(self.stack) if self.stack else None) or self.default_port

    @property
    def instance(self) -> str:
        """What this process is called in logs and in ``Via``: ``gateway-2``."""
        return self.settings.instance or self.name

    def tracer(self) -> Tracer | None:
        """A tracer, where traces are switched on (`focushub_core.telemetry.tracing`); who asks for it closes it."""
        stack = self.stack.name if self.stack else None
        return tracer_of(self.name, instance=self.instance, stack=stack, alone=self.alone)

    async def report(self) -> Report:
        """Asks every dependency."""
        return Report(self.name, await examine(self.checks), self.draining)

    @classmethod
    def run(cls) -> None:
        """Runs the part until SIGTERM (drains first) or SIGINT (finishes what runs); ends the process.

        Wrong settings are named on standard error, all at once, with exit status 1.
        """
        try:
            part = cls.in_stack()
        except ConfigurationError as error:
            print(f"{cls.name}: {error}", file=sys.stderr)  # noqa: T201 - logs are not set up yet
            sys.exit(1)
        logs.configure(part.instance, as_json=part.settings.logs_as_json, level=part.settings.log_level)
        settings_module.export("OTEL_", part.stack.root if part.stack else None)
        part.alone = True
        sys.exit(part.serve())

    @classmethod
    def in_stack(cls) -> Self:
        """The part as it is set up here: by the environment and the stack whose folder this is."""
        root = stack_module.find_root(Path.cwd())
        return cls(stack=stack_module.load(root) if root else None)

    def load_settings(self, stack: Stack | None) -> Settings:
        """The part's settings from the environment and the stack's ``.env``."""
        return settings_module.load(self.settings_type, owner=self.key(), root=stack.root if stack else None)
