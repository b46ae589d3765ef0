"""Repeated log lines are dropped and counted."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from services.runtime.config.settings import ServiceSettings
from services.runtime.observing.log_limits import ALL_BURST, BURST, LineLimit
from services.runtime.observing.logs import configure_logging, get_logger


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_kind_has_a_burst_and_then_one_line_a_second() -> None:
    clock = Clock()
    limit = LineLimit(clock)
    answers = [limit.admit("refused") for _ in range(1000)]
    assert answers == [0] * BURST + [None] * (1000 - BURST)
    clock.now_s += 1
    assert limit.admit("refused") == 1000 - BURST
    assert limit.admit("refused") is None
    assert limit.admit("another kind") == 0
    clock.now_s += 3600
    assert [limit.admit("refused") for _ in range(BURST)] == [1, *[0] * (BURST - 1)]


def test_kinds_without_number_have_a_limit_together() -> None:
    clock = Clock()
    limit = LineLimit(clock)
    written = [limit.admit(f"kind {n}") for n in range(100_000)]
    assert written.count(0) == ALL_BURST


def test_our_own_lines_and_those_of_libraries_are_limited(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logging(ServiceSettings())
        for number in range(BURST + 5):
            get_logger().info("request refused", number=number)
            logging.getLogger("asyncio").error("socket.accept() failed\nsocket: fd=%d", number)
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)
    lines = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert lines.count("request refused") == BURST
    assert len(lines) == 2 * BURST


def test_the_count_of_dropped_lines_is_written() -> None:
    clock = Clock()
    limit = LineLimit(clock)
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "no %s", ("room",), None)
    event = {"event": "no room"}
    while limit.filter(record):
        assert limit.process(None, "info", dict(event)) == event
    with pytest.raises(structlog.DropEvent):
        limit.process(None, "info", dict(event))
    clock.now_s += 1
    assert limit.process(None, "info", dict(event)) == {**event, "dropped_lines": 1}
    assert limit.filter(record)
    assert record.dropped_lines == 1  # type: ignore[attr-defined]


def test_lines_for_debugging_are_all_written() -> None:
    limit = LineLimit(Clock())
    for _ in range(2 * ALL_BURST):
        assert limit.process(None, "debug", {"event": "a step"}) == {"event": "a step"}
