"""Logs: one JSON object a line, with the trace, without secrets, for libraries too."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider

from services.runtime.config.settings import ServiceSettings
from services.runtime.observing.logs import configure_logging, get_logger


@pytest.fixture(autouse=True)
def _restore_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_line_is_json_with_stage_and_trace(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(ServiceSettings())
    with TracerProvider().get_tracer("test").start_as_current_span("turn") as span:
        get_logger().info("said", text="你好", token="swordfish", Authorization="Bearer swordfish")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "swordfish" not in captured.err
    line = json.loads(captured.err)
    assert line["event"] == "said"
    assert line["stage"] == "service"
    assert line["level"] == "info"
    assert line["text"] == "你好"
    assert line["trace_id"] == f"{span.get_span_context().trace_id:032x}"


def test_lines_of_libraries_have_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(ServiceSettings())
    logging.getLogger("some.library").warning("disk is %s", "full", extra={"authorization": "x-y"})
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "disk is full"
    assert line["level"] == "warning"
    assert line["stage"] == "service"
    assert line["authorization"] == "(hidden)"


def test_level_is_kept_to(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(ServiceSettings(log_level="error"))
    get_logger().warning("quiet")
    get_logger().error("loud")
    assert "quiet" not in capsys.readouterr().err


def test_text_for_people_shows_no_locals(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(ServiceSettings(log_format="text"))
    password = "".join(["sword", "fish"])
    try:
        raise ValueError(len(password))
    except ValueError:
        get_logger().exception("failed")
    err = capsys.readouterr().err
    assert "ValueError: 9" in err
    assert "swordfish" not in err
