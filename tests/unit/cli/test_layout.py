from __future__ import annotations

import socket

import pytest

from cli.mesh.layout import fixed_layout, free_address, free_layout, taken_addresses
from gateway.stages.spec import GATEWAY, STAGES


def test_stages_lie_behind_the_gateway_and_the_gateway_knows_them() -> None:
    layout = fixed_layout(http_address="127.0.0.1:8080", first_port=50050)
    assert layout.gateway.address == "127.0.0.1:50050"
    addresses = {member.name: member.address for member in layout.members}
    assert list(addresses) == [*STAGES, GATEWAY]
    assert len(set(addresses.values())) == len(addresses)
    for name in STAGES:
        assert layout.gateway.environment[f"ANIMA_GATEWAY_{name.upper()}_TARGET"] == addresses[name]
        member = next(each for each in layout.members if each.name == name)
        assert member.environment[f"ANIMA_{name.upper()}_LISTEN"] == addresses[name]


def test_a_free_layout_takes_free_ports_and_a_taken_one_is_found() -> None:
    layout = free_layout()
    assert taken_addresses(layout) == []
    host, _, port = layout.members[2].address.rpartition(":")
    with socket.create_server((host, int(port))):
        assert taken_addresses(layout) == [layout.members[2].address]


def test_an_address_beside_a_layout_is_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = free_layout()
    used = [*(member.address for member in layout.members), layout.http_address]
    # The ports of a mesh that has not started yet are free, and may be handed out again.
    monkeypatch.setattr(
        "cli.mesh.layout.free_addresses", lambda count: [*used, "127.0.0.1:9"][:count]
    )
    assert free_address(layout) == "127.0.0.1:9"
