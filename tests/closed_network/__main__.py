"""Makes the closed network around itself, tests the capture, then runs a command in it."""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.closed_network.packets import describe

_INTERFACE = "out0"
_NAME_SERVER = "10.99.0.1"
_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_SETUP = (
    "ip link set lo up",
    f"ip link add {_INTERFACE} type veth peer name far0",
    "ip link set far0 up",
    f"ip link set {_INTERFACE} arp off multicast on up",
    f"ip addr add 10.99.0.2/24 dev {_INTERFACE}",
    f"ip route add default dev {_INTERFACE}",
)
_SETUP_IPV6 = (
    f"ip -6 addr add fd99::2/64 dev {_INTERFACE} nodad",
    f"ip -6 route add default dev {_INTERFACE}",
)
_LONGEST_WAIT_S = 60.0
_LAST = ("192.0.2.1", 10)
_CONTROL_NAME = "control.anima.invalid"
_CONTROL = (
    "TCP to 198.51.100.1 port 443",
    "UDP to 192.0.2.1 port 9",
    "UDP to 239.255.1.1 port 9",
    f"UDP to {_NAME_SERVER} port 53: {_CONTROL_NAME}",
)


class Capture:
    """Everything that leaves by the interface."""

    def __init__(self) -> None:
        """Starts the capture."""
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self._socket.bind((_INTERFACE, _ETH_P_ALL))
        self._seen: list[str] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            packet, (_, _, kind, *_) = self._socket.recvfrom(65_535)
            text = describe(packet) if kind == _PACKET_OUTGOING else None
            if text is not None:
                with self._changed:
                    self._seen.append(text)
                    self._changed.notify_all()

    def wait_for(self, text: str, timeout_s: float) -> bool:
        """Waits until a packet was seen whose description contains a text."""
        with self._changed:
            return self._changed.wait_for(
                lambda: any(text in each for each in self._seen), timeout_s
            )

    def take(self) -> list[str]:
        """Returns what was seen since the last call."""
        with self._changed:
            seen, self._seen = self._seen, []
            return seen


def _make_network() -> None:
    for line in _SETUP:
        subprocess.run(line.split(), check=True)
    for line in _SETUP_IPV6:  # a kernel may have no IPv6
        subprocess.run(line.split(), check=False, stderr=subprocess.DEVNULL)
    resolver = Path("/etc/resolv.conf").resolve()
    with tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False) as file:
        file.write(f"nameserver {_NAME_SERVER}\noptions timeout:1 attempts:1\n")
    if resolver.exists():
        subprocess.run(["mount", "--bind", file.name, str(resolver)], check=True)


def _ask_for_the_control_name() -> None:
    try:
        socket.getaddrinfo(_CONTROL_NAME, 443)
    except OSError:
        return
    raise AssertionError("a name was resolved without a network")


def _control(capture: Capture) -> list[str]:
    """Makes one attempt of each kind, and returns what the capture saw of them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for address in ("192.0.2.1", "239.255.1.1"):
            udp.sendto(b"control", (address, 9))
    with socket.socket() as tcp:
        tcp.setblocking(False)
        tcp.connect_ex(("198.51.100.1", 443))
        _ask_for_the_control_name()
    seen = _all_until_now(capture)
    if not set(_CONTROL) <= set(seen):
        sys.exit(f"the capture missed {set(_CONTROL) - set(seen)}")
    return seen


def _all_until_now(capture: Capture) -> list[str]:
    """Sends a last packet, which takes the way of those before it, and waits until it was seen."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"last", _LAST)
    text = f"UDP to {_LAST[0]} port {_LAST[1]}"
    if not capture.wait_for(text, 10):
        sys.exit("the capture sees nothing")
    return [each for each in capture.take() if each != text]


def _run(command: list[str], capture: Capture, *, until: str | None) -> int:
    """Runs a command to its end, or until a packet with this text was seen."""
    if until is None:
        return subprocess.run(command, check=False).returncode
    process = subprocess.Popen(command)
    seen = capture.wait_for(until, _LONGEST_WAIT_S)
    process.kill()
    process.wait()
    return 0 if seen else 1


def main(arguments: list[str]) -> None:
    """Runs `[--until TEXT] REPORT COMMAND...`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--until")
    parser.add_argument("report", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    _make_network()
    capture = Capture()
    control = _control(capture)
    returncode = _run(options.command, capture, until=options.until)
    content = {"returncode": returncode, "control": control, "seen": _all_until_now(capture)}
    options.report.write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
