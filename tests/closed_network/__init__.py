"""A network of its own, in which nothing answers and everything that leaves is recorded.

`python -m tests.closed_network [--until TEXT] REPORT COMMAND...`, started by `unshare --net
--mount`, makes an interface with routes for all addresses of IPv4 and IPv6, and a name server
behind it. Nobody is at the other end, so a connection attempt, a datagram or a question for a name
is a packet that the capture sees. REPORT is JSON; see `Report`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
UNSHARE = ("unshare", "--net", "--mount", "--propagation", "private")


class Report(NamedTuple):
    """What happened in the closed network."""

    returncode: int
    """Of the command."""
    control: list[str]
    """The packets of the attempts that were made to test the capture."""
    seen: list[str]
    """The packets of the command and its children."""


def unshare() -> list[str]:
    """Returns the command that makes the namespaces; root needs no user namespace."""
    return [*UNSHARE] if os.geteuid() == 0 else [*UNSHARE, "--user", "--map-root-user"]


def can_run() -> bool:
    """Returns whether this machine lets us make a network and capture in it."""
    command = [*unshare(), "ip", "link", "add", "out0", "type", "veth"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run(
    command: Sequence[str],
    *,
    report: Path,
    environment: Mapping[str, str],
    timeout_s: float,
    until: str | None = None,
) -> Report:
    """Runs a command in a closed network and returns what left it.

    Args:
        command: The program and its arguments.
        report: The file for the findings.
        environment: All variables of the program.
        timeout_s: After this time everything is killed.
        until: End the command when a packet was seen whose description contains this.

    Raises:
        AssertionError: The network could not be made.
    """
    options = () if until is None else ("--until", until)
    wrapped = [*unshare(), sys.executable, "-m", "tests.closed_network", *options, str(report)]
    done = subprocess.run(
        [*wrapped, *command],
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    found = Report(**json.loads(report.read_text("utf-8")))
    assert found.returncode == 0, done.stdout + done.stderr
    return found
