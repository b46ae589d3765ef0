"""Nothing leaves the machine: no connection, no name lookup, no multicast, and no device id."""

from __future__ import annotations

import os
import socket
import struct
import sys
from pathlib import Path

import av
import pytest

from services.runtime.config.settings import ServiceSettings
from services.runtime.observing.telemetry import REPORTERS
from tests import closed_network
from tests.closed_network.packets import describe
from tests.requirements import need

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(400)]


def _environment(home: Path) -> dict[str, str]:
    """A new user's environment: a home of its own, and no variable of the table."""
    removed = {reporter.variable for reporter in REPORTERS} | {"CI"}  # libraries behave in CI
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in removed and not name.startswith(("XDG_", "ANIMA_", "PYTEST_"))
    }
    data = ServiceSettings.from_environment().data_dir
    return kept | {"HOME": str(home), "ANIMA_DATA_DIR": str(data), "OMP_NUM_THREADS": "1"}


def _files(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


def test_a_conversation_with_voice_and_face_leaves_nothing(tmp_path: Path) -> None:
    need("network-namespace")
    need("encoder")
    need("flite")
    home, folder = tmp_path / "home", tmp_path / "answers"
    home.mkdir()
    folder.mkdir()
    found = closed_network.run(
        [sys.executable, "-m", "tests.closed_network.conversation", str(folder)],
        report=tmp_path / "report.json",
        environment=_environment(home),
        timeout_s=380,
    )
    for name in ("typed.mp4", "spoken.mp4", "rest.mp4"):
        with av.open(str(folder / name)) as film:
            assert {stream.type for stream in film.streams} == {"audio", "video"}
            assert sum(1 for _ in film.decode(video=0)) > 10
    assert found.seen == []
    assert _files(home) == []


def test_the_capture_sees_a_library_that_reports(tmp_path: Path) -> None:
    """The counter-check: what onnxruntime does where nothing prevents it."""
    need("network-namespace")
    found = closed_network.run(
        [sys.executable, "-c", "import signal, onnxruntime; signal.pause()"],
        report=tmp_path / "report.json",
        environment=_environment(tmp_path),
        timeout_s=120,
        until="events.data.microsoft.com",
    )
    assert any("microsoft" in each for each in found.seen), found.seen
    assert any(name.endswith("deviceid") for name in _files(tmp_path))


def test_a_packet_is_described_by_what_it_wanted() -> None:
    name = b"\x06mobile\x07example\x00"
    dns = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + name + b"\x00\x01\x00\x01"
    udp = struct.pack("!HHHH", 40_000, 53, 8 + len(dns), 0) + dns
    addresses = socket.inet_aton("10.99.0.2") + socket.inet_aton("10.99.0.1")
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses
    assert describe(head + udp) == "UDP to 10.99.0.1 port 53: mobile.example"
    six = struct.pack("!IHBB", 6 << 28, 8, 58, 255) + bytes(16) + socket.inet_pton(10, "ff02::2")
    assert describe(six + b"\x85" + bytes(7)) is None  # router solicitation
    six = struct.pack("!IHBB", 6 << 28, 20, 6, 64) + bytes(16) + socket.inet_pton(10, "2001:db8::1")
    assert describe(six + struct.pack("!HH", 40_000, 443) + bytes(16)) == (
        "TCP to 2001:db8::1 port 443"
    )
