"""Which processes a mesh on one machine consists of, and where each one listens."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One process of the mesh."""

    name: str
    """The stage, such as "asr"."""

    module: str
    """What `python -m` runs."""

    service: str
    """The full gRPC name whose health means "ready"."""

    address: str
    """Where it serves gRPC, "host:port"."""

    environment: Mapping[str, str]
    """Variables that it gets besides the caller's."""

    @property
    def command(self) -> list[str]:
        """The command line of the process."""
        return [sys.executable, "-m", self.module]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The processes of a mesh, the gateway last."""

    members: tuple[Member, ...]
    http_address: str

    @property
    def gateway(self) -> Member:
        """The gateway's process."""
        return self.members[-1]

    @property
    def page(self) -> str:
        """The address of the page."""
        host, _, port = self.http_address.rpartition(":")
        return f"http://{'localhost' if host in (LOOPBACK, '0.0.0.0', '[::]') else host}:{port}/"  # noqa: S104


_STAGES: Final = (
    ("asr", "services.asr", "anima.asr.v1.AsrService"),
    ("llm", "services.llm", "anima.llm.v1.LlmService"),
    ("memory", "memory", "anima.memory.v1.MemoryService"),
    ("tts", "services.tts", "anima.tts.v1.TtsService"),
    ("avatar", "services.avatar", "anima.avatar.v1.AvatarService"),
)


def fixed_layout(*, http_address: str, first_port: int) -> Layout:
    """Lay the mesh out on well-known ports: the gateway at `first_port`, the stages behind it."""
    return _layout(http_address, [first_port + offset for offset in range(len(_STAGES) + 1)])


def free_layout() -> Layout:
    """Lay the mesh out on ports that are free now, for a mesh that lives as long as one command."""
    ports = _free_ports(len(_STAGES) + 2)
    return _layout(f"{LOOPBACK}:{ports[-1]}", ports[:-1])


def free_address(layout: Layout) -> str:
    """Give an address that is free now and not one of a mesh that is still to start."""
    taken = {layout.http_address, *(member.address for member in layout.members)}
    addresses = {f"{LOOPBACK}:{port}" for port in _free_ports(len(taken) + 1)}
    return min(addresses - taken)


def _layout(http_address: str, ports: list[int]) -> Layout:
    addresses = {
        name: f"{LOOPBACK}:{port}" for (name, _, _), port in zip(_STAGES, ports[1:], strict=True)
    }
    gateway_environment = {
        f"ANIMA_GATEWAY_{name.upper()}_TARGET": address for name, address in addresses.items()
    }
    gateway_environment["ANIMA_GATEWAY_LISTEN"] = f"{LOOPBACK}:{ports[0]}"
    gateway_environment["ANIMA_GATEWAY_HTTP_LISTEN"] = http_address
    members = [
        Member(
            name=name,
            module=module,
            service=service,
            address=addresses[name],
            environment={f"ANIMA_{name.upper()}_LISTEN": addresses[name]},
        )
        for name, module, service in _STAGES
    ]
    members.append(
        Member(
            name="gateway",
            module="gateway",
            service="anima.gateway.v1.GatewayService",
            address=f"{LOOPBACK}:{ports[0]}",
            environment=gateway_environment,
        )
    )
    return Layout(members=tuple(members), http_address=http_address)


def _free_ports(count: int) -> list[int]:
    # All are held until all are known: a port that is closed at once may be handed out twice.
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def taken_addresses(layout: Layout) -> list[str]:
    """Return the addresses of the layout at which something else listens already."""
    wanted = [*(member.address for member in layout.members), layout.http_address]
    return [address for address in wanted if not _can_bind(address)]


def _can_bind(address: str) -> bool:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, int(port)))
    except OSError:
        return False
    return True


def child_environment(member: Member) -> dict[str, str]:
    """Return the whole environment of a member, with one compute thread per library."""
    environment = {**os.environ, **member.environment}
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        # Five services with a thread per core each are slower than five with one.
        environment.setdefault(variable, "1")
    return environment
