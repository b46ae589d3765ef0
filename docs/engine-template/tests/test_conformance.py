"""The speech service with the engine, and Anima's conformance suite against it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = os.environ.get("CHECKOUT_OF_ANIMA")
NOT_SPEECH = "not mouth"
"""Leaves out the test of the suite that looks for the sounds of speech: Morse code has none."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a speech service that speaks with the engine."""
    environment = os.environ | {"ANIMA_TTS_ENGINE": "morse", "ANIMA_TTS_LISTEN": "127.0.0.1:0"}
    service = subprocess.Popen(
        [sys.executable, "-m", "services.tts"], env=environment, stderr=subprocess.PIPE, text=True
    )
    assert service.stderr is not None
    try:
        yield ready_address(service.stderr)
    finally:
        service.terminate()
        service.wait()


def ready_address(log: Iterator[str]) -> str:
    """Reads the log up to the line that says where the service listens, and the rest beside."""
    lines: list[str] = []
    for line in log:
        lines.append(line)
        entry = json.loads(line) if line.startswith("{") else {}
        if entry.get("event") == "ready":
            threading.Thread(target=list, args=(log,), daemon=True).start()
            return str(entry["address"])
    raise AssertionError("the service has ended:\n" + "".join(lines))


@pytest.mark.skipif(not CHECKOUT, reason="CHECKOUT_OF_ANIMA names no checkout of Anima")
def test_the_service_conforms(address: str) -> None:
    folder = Path(str(CHECKOUT))
    suite = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *sorted(folder.glob("tests/contract/test_tts*.py")),
            *("--tts-address", address, "-k", NOT_SPEECH),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert suite.returncode == 0, suite.stdout[-10_000:]
    assert " passed" in suite.stdout
