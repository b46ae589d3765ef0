"""Logs: one JSON object per line on stderr, with stage and trace id, and limited in number."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from services.runtime.config.settings import ServiceSettings
from services.runtime.observing.log_limits import LineLimit

_SECRET_KEYS = frozenset({"token", "authorization", "password", "secret", "api_key"})
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}

# structlog's own formatters print the local variables of every frame: user data, and tokens
_traceback_without_locals = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def get_logger() -> Any:
    """Returns the logger: `get_logger().info("event in words", key=value)`."""
    return structlog.get_logger()


def configure_logging(settings: ServiceSettings) -> None:
    """Sends the logs of the process and its libraries to stderr in the configured format."""
    level = _LEVELS.get(settings.log_level, logging.ERROR)
    # gRPC's core writes lines in its own format to stderr; the relevant information is in the
    # status of a call. Once grpc is imported, ERROR no longer silences its INFO lines; NONE does.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    limit = LineLimit()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_stage(settings.stage),
        add_trace_id,
        drop_secrets,
    ]
    rendering: list[Processor] = (
        [
            _traceback_without_locals,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
        if settings.log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[limit.process, *shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(limit.filter)
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[remove_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def add_trace_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Adds the current trace and span."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def drop_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replaces the values of keys that name a secret."""
    for key in event:
        if key.lower() in _SECRET_KEYS:
            event[key] = "(hidden)"
    return event


def _add_stage(stage: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("stage", stage)
        return event

    return add
