"""`focushub_core.telemetry.tracing` with OpenTelemetry's SDK: the one module that imports it (the extra ``[otel]``).

Rules that hold here:

* Names and attributes are those of the semantic conventions that are stable: HTTP's and databases'.
* What people may have written stays here: no query string, no field but the request's id, no SQL.
* One span for each request that a part serves, one for each call that it makes, one for each query. Probes have none.
* Spans are exported by the SDK's thread, in batches. A loop never waits for it; a stop does, `FLUSH_S` at most.
* A provider that somebody else set up (``opentelemetry-instrument``) is used, and left to whoever did it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import Token
from types import TracebackType
from urllib.parse import urlsplit

from opentelemetry import context as contexts
from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
)

from focushub_core.telemetry.counters import METHODS
from focushub_core.telemetry.trace import TRACEPARENT, TRACESTATE, Call, PassedOn, current

FLUSH_S = 2.0
"""How long a stop waits for an exporter."""

_NOBODY = Context()
_Attributes = Mapping[str, str | int | Sequence[str]]

_log = logging.getLogger(__name__)


class Spans:
    """A `focushub_core.telemetry.tracing.Tracer`. ``provider`` is closed with it unless it is somebody else's."""

    def __init__(self, provider: api.TracerProvider, *, own: TracerProvider | None = None) -> None:
        self._tracer = provider.get_tracer("focushub_core")
        self._own = own

    @classmethod
    def of(
        cls, exporters: Sequence[str], part: str, *, instance: str | None, stack: str | None, alone: bool
    ) -> Spans:
        """Those of ``part``, given to ``exporters`` (``otlp``, ``console``) as the SDK's variables say."""
        there = api.get_tracer_provider()
        if isinstance(there, TracerProvider):
            return cls(there)
        provider = TracerProvider(resource=_resource(part, instance, stack), shutdown_on_exit=False)
        for name in exporters:
            exporter = _Told(OTLPSpanExporter()) if name == "otlp" else ConsoleSpanExporter()
            provider.add_span_processor(BatchSpanProcessor(exporter))
        if alone:
            api.set_tracer_provider(provider)
        return cls(provider, own=provider)

    def serving(self, method: str, path: str, request_id: str, came: PassedOn | None) -> Served:
        """Begins the span of a request; it is named when its route is known, at the end."""
        known = method if method in METHODS else "_OTHER"
        attributes: _Attributes = {
            "http.request.method": known,
            "url.path": path,
            "url.scheme": "http",
            "http.request.header.x-request-id": (request_id,),
        }
        span = self._tracer.start_span(
            known, _NOBODY if came is None else _remote(came), SpanKind.SERVER, attributes
        )
        return Served(self._tracer, span, known)

    def query(self, summary: str, about: Mapping[str, str | int]) -> AbstractContextManager[object]:
        """The span of a query; none where nobody is being served (checks, upkeep)."""
        if not api.get_current_span().get_span_context().is_valid:
            return nullcontext()
        attributes: _Attributes = {**about, "db.query.summary": summary}
        return _Query(self._tracer.start_span(summary, None, SpanKind.CLIENT, attributes))

    async def close(self) -> None:
        """Exports what is left; an exporter that is away may take `FLUSH_S`."""
        if self._own is None:
            return
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def shut_down(provider: TracerProvider) -> None:
            provider.shutdown()
            with suppress(RuntimeError):  # the loop did not wait for it
                loop.call_soon_threadsafe(done.set)

        # Not the loop's own threads: those are waited for, however long they take.
        threading.Thread(target=shut_down, args=(self._own,), daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH_S):
                await done.wait()
        except TimeoutError:
            _log.warning("the last traces were not exported within %g s", FLUSH_S)


class Served:
    """The span of a request, and its `focushub_core.telemetry.trace.Trace`."""

    def __init__(self, tracer: api.Tracer, span: Span, method: str) -> None:
        self._tracer, self._span, self._method = tracer, span, method
        self._token: Token[Context] | None = None

    @property
    def trace_id(self) -> str:
        return api.format_trace_id(self._span.get_span_context().trace_id)

    def attach(self) -> None:
        self._token = contexts.attach(api.set_span_in_context(self._span))

    def adopt(self) -> None:
        current.set(self)
        contexts.attach(api.set_span_in_context(self._span))

    def fields(self) -> dict[str, str]:
        """Those of the innermost span: a handler may have begun one of its own."""
        return _fields(api.get_current_span().get_span_context())

    def calling(self, method: str, url: str, *, inner: bool = False, since_ns: int | None = None) -> Call:
        address = urlsplit(url)
        attributes: _Attributes = {
            "http.request.method": method if method in METHODS else "_OTHER",
            "server.address": address.hostname or "",
            "server.port": address.port or (443 if address.scheme == "https" else 80),
            "url.full": f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}",
        }
        within = None if inner else api.set_span_in_context(self._span, _NOBODY)
        known = method if method in METHODS else "_OTHER"
        span = self._tracer.start_span(known, within, SpanKind.CLIENT, attributes, start_time=since_ns)
        return _Called(span)

    def end(self, route: str, status: int, error: type[BaseException] | None = None) -> None:
        span = self._span
        if self._token is not None:
            contexts.detach(self._token)
        if span.is_recording():
            if route != "unmatched":
                span.update_name(f"{self._method} {route}")
                span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_attribute("error.type", str(status) if error is None else _name(error))
                span.set_status(StatusCode.ERROR)
        span.end()


class _Called:
    """The span of a call to somebody else; a 4xx is an error here, for it was ours."""

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def fields(self) -> dict[str, str]:
        return _fields(self._span.get_span_context())

    def answered(self, status: int) -> None:
        self._span.set_attribute("http.response.status_code", status)
        if status >= 400:
            self.failed(str(status))

    def failed(self, kind: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)

    def __enter__(self) -> _Called:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.failed(_name(type(error)))
        self._span.end()


class _Query:
    """The span of a query. What failed is said by PostgreSQL's code, or by the error's name, never by its text."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            code = getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)
            if code is not None:
                self._span.set_attribute("db.response.status_code", str(code))
            self._span.set_attribute("error.type", str(code or _name(type(error.__cause__ or error))))
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class _Told(SpanExporter):
    """An exporter that says once that nobody takes what it sends, and once that somebody does again.

    The SDK would say it twice for each batch.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._away = False
        logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            _log.warning("traces cannot be exported; those of the meantime are lost")
        elif self._away and not away:
            _log.info("traces can be exported again")
        self._away = away
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _resource(part: str, instance: str | None, stack: str | None) -> Resource:
    """Who says all this: the part, but for what ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` say."""
    own = {"service.name": part, "service.namespace": stack, "service.instance.id": instance}
    said = OTELResourceDetector().detect().attributes
    return Resource.create({key: value for key, value in own.items() if value and key not in said})


def _remote(came: PassedOn) -> Context:
    """The sender's span as a parent."""
    parent = SpanContext(
        int(came.trace_id, 16),
        int(came.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(came.flags),
        trace_state=TraceState.from_header([came.state]) if came.state else None,
    )
    return api.set_span_in_context(NonRecordingSpan(parent), _NOBODY)


def _fields(context: SpanContext) -> dict[str, str]:
    ids = f"{api.format_trace_id(context.trace_id)}-{api.format_span_id(context.span_id)}"
    said = {TRACEPARENT: f"00-{ids}-{context.trace_flags:02x}"}
    if context.trace_state:
        said[TRACESTATE] = context.trace_state.to_header()
    return said


def _name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
