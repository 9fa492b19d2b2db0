"""Spans for OpenTelemetry, where somebody switched that on; without it nothing of it is even imported.

Rules that hold here:

* OpenTelemetry's own variables say it: an endpoint (``OTEL_EXPORTER_OTLP_ENDPOINT``) or an exporter
  (``OTEL_TRACES_EXPORTER=otlp`` or ``console``) switches spans on, ``OTEL_SDK_DISABLED=true`` and the exporter ``none``
  off. They mean what they mean everywhere, for it is the SDK that reads them: headers, sampling, batches.
* Nobody is refused anything for want of a trace. Without the extra ``[otel]`` there is a warning and no span; an
  exporter that is away costs a warning, and what it should have had.
* A part opens its `Tracer` when it starts and closes it when it has answered everything.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from focushub_core.telemetry.trace import PassedOn, Trace

EXPORTERS = ("otlp", "console")

_log = logging.getLogger(__name__)


class Serving(Trace, Protocol):
    """The span of one request that is being served."""

    def attach(self) -> None:
        """What this task does from now on belongs to it, until it ends."""


class Tracer(Protocol):
    """Makes the spans of one part, and has them exported beside the loop."""

    def serving(self, method: str, path: str, request_id: str, came: PassedOn | None) -> Serving:
        """Begins the span of a request, a child of the one that ``came`` names."""

    def query(self, summary: str, about: Mapping[str, str | int]) -> AbstractContextManager[object]:
        """The span of a query to a database, on behalf of what is being served; of nothing else."""

    async def close(self) -> None:
        """Exports what is left, within two seconds."""


def exporters(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Those that the variables ask for: none, where tracing is off.

    >>> exporters({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    ('otlp',)
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    said = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if said:
        return tuple(name for item in said.split(",") if (name := item.strip()) and name != "none")
    addresses = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return ("otlp",) if any(environ.get(name) for name in addresses) else ()


def tracer_of(
    part: str, *, instance: str | None = None, stack: str | None = None, alone: bool = False
) -> Tracer | None:
    """The tracer of ``part``, its service's name in traces; None where spans are not switched on, or cannot be made.

    Where the process is the part's ``alone``, spans that its handlers begin by OpenTelemetry's API are exported, too.
    """
    wanted = exporters()
    if not wanted:
        return None
    unknown = [name for name in wanted if name not in EXPORTERS]
    if unknown:
        _log.warning("no traces: OTEL_TRACES_EXPORTER can be otlp, console or none, not %s", unknown[0])
        return None
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    if "otlp" in wanted and protocol not in (None, "", "http/protobuf"):
        _log.warning("no traces: OTEL_EXPORTER_OTLP_PROTOCOL can be http/protobuf, not %s", protocol)
        return None
    try:
        from focushub_core.telemetry import spans
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("opentelemetry"):
            raise
        _log.warning('no traces: OpenTelemetry is not installed: pip install "focushub-core[otel]"')
        return None
    return spans.Spans.of(wanted, part, instance=instance, stack=stack, alone=alone)
