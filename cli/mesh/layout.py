"""The processes of a mesh on one machine and their addresses."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from cli.addresses import LOOPBACK, is_free, url
from gateway.stages.spec import GATEWAY, GATEWAY_PORT, GATEWAY_SERVICE, STAGES
from services.runtime.config.settings import ServiceSettings
from services.runtime.config.variables import StageVariables


@dataclass(frozen=True, kw_only=True)
class Member:
    """One process of the mesh."""

    name: str
    """The stage, such as "asr"."""

    module: str
    """The module for `python -m`."""

    service: str
    """The full gRPC service name whose health means "ready"."""

    address: str
    """Its gRPC address, "host:port"."""

    environment: Mapping[str, str]
    """Variables in addition to the caller's."""

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
        return url(self.http_address)


def fixed_layout(*, http_address: str, first_port: int) -> Layout:
    """Returns a layout on well-known ports: the gateway at `first_port`, the stages after it."""
    ports = {spec.name: spec.default_port - GATEWAY_PORT for spec in STAGES.values()}
    addresses = {name: f"{LOOPBACK}:{first_port + offset}" for name, offset in ports.items()}
    return _layout(http_address, f"{LOOPBACK}:{first_port}", addresses)


def free_layout() -> Layout:
    """Returns a layout on ports that are free now, for a mesh that runs only for one command."""
    http, gateway, *stages = free_addresses(len(STAGES) + 2)
    return _layout(http, gateway, dict(zip(STAGES, stages, strict=True)))


def gateway_targets(addresses: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables that configure a gateway with the addresses of the stages."""
    return {STAGES[name].target_variable: address for name, address in addresses.items()}


def free_address(layout: Layout) -> str:
    """Returns an address that is free now and not used by a layout."""
    taken = {layout.http_address, *(member.address for member in layout.members)}
    return min(set(free_addresses(len(taken) + 1)) - taken)


def free_addresses(count: int) -> list[str]:
    """Returns distinct loopback addresses that are free now."""
    # All sockets stay open until all ports are known: a closed port may be assigned twice.
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [f"{LOOPBACK}:{each.getsockname()[1]}" for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _layout(http_address: str, gateway_address: str, addresses: Mapping[str, str]) -> Layout:
    members = [
        Member(
            name=name,
            module=STAGES[name].module,
            service=STAGES[name].health_service,
            address=address,
            environment={f"{STAGES[name].variable}LISTEN": address},
        )
        for name, address in addresses.items()
    ]
    members.append(
        Member(
            name=GATEWAY,
            module=GATEWAY,
            service=GATEWAY_SERVICE,
            address=gateway_address,
            environment={
                **gateway_targets(addresses),
                "ANIMA_GATEWAY_LISTEN": gateway_address,
                "ANIMA_GATEWAY_HTTP_LISTEN": http_address,
            },
        )
    )
    return Layout(members=tuple(members), http_address=http_address)


def taken_addresses(layout: Layout) -> list[str]:
    """Returns the addresses of the layout that are already in use."""
    wanted = [*(member.address for member in layout.members), layout.http_address]
    return [address for address in wanted if not is_free(address)]


def child_environment(member: Member) -> dict[str, str]:
    """Returns the whole environment of a member, with one compute thread per library."""
    environment = {**os.environ, **member.environment}
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        # Five services with a thread per core each are slower than five with one.
        environment.setdefault(variable, "1")
    return environment


def drain_timeout_s(member: Member, environment: Mapping[str, str]) -> float:
    """Returns a member's drain timeout from its variables; the default if it is invalid."""
    place = ("drain_timeout_s",)
    read = StageVariables(ServiceSettings, member.name, {place[0]: place}, environment)()
    try:
        return ServiceSettings(**read).drain_timeout_s
    except ValidationError:
        return ServiceSettings().drain_timeout_s
