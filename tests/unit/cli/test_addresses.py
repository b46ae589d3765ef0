"""Addresses that people type."""

from __future__ import annotations

import socket

import pytest

from cli.addresses import AddressError, grpc_target, http_address, is_free, url, with_port


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8099", "127.0.0.1:8099"),
        ("localhost:8099", "localhost:8099"),
        ("[::1]:8099", "[::1]:8099"),
        ("0.0.0.0:80", "0.0.0.0:80"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("http://127.0.0.1:8099/", "127.0.0.1:8099"),
        (" 8099 ", "127.0.0.1:8099"),
        ("my-host_1.example:1", "my-host_1.example:1"),
        ("127.0.0.1:08099", "127.0.0.1:8099"),
    ],
)
def test_what_an_address_means(text: str, address: str) -> None:
    assert http_address(text) == address


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("localhost", "'localhost' has no port, write localhost:8080"),
        ("99999", "99999 is not a port, the largest is 65535"),
        ("127.0.0.1:99999", "99999 is not a port, the largest is 65535"),
        ("127.0.0.1:" + "9" * 5000, "is not a port, the largest is 65535"),
        ("::1:8099", r"needs brackets, write \[::1\]:8099"),
        ("::1", r"'::1' has no port, write \[::1\]:8080"),
        ("[::1]", "has no port, write \\[::1\\]:8080"),
        (":8099", "':8099' has no host, write 127.0.0.1:8099 or, .* 0.0.0.0:8099"),
        ("", "it is empty"),
        ("http://", "it is empty"),
        ("localhost:http", "'http' is not a port"),
        ("localhost:-1", "'-1' is not a port"),
        ("localhost:٣", "'٣' is not a port"),
        ("localhost:", "'' is not a port"),
        ("https://localhost:8099", "https:// cannot be used here"),
        ("http://localhost:8099/page", "'8099/page' is not a port"),
        ("a b:8099", "'a b' is not a host name"),
        ("[localhost]:8099", "is not a host name"),
        ("[::g]:8099", "neither a host name nor an IPv6 address"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(text: str, problem: str) -> None:
    with pytest.raises(AddressError, match=problem) as caught:
        http_address(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("50050", "127.0.0.1:50050"),
        ("http://127.0.0.1:50050", "127.0.0.1:50050"),
        ("dns:///anima:50050", "dns:///anima:50050"),
        ("unix:/run/anima.sock", "unix:/run/anima.sock"),
        ("[::1]:50050", "[::1]:50050"),
    ],
)
def test_what_a_target_means(text: str, target: str) -> None:
    assert grpc_target(text) == target


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no-such-host.invalid:50050", "the host no-such-host.invalid is unknown"),
        ("127.0.0.1", "'127.0.0.1' has no port, write 127.0.0.1:50050"),
        ("https://127.0.0.1:50050", "https:// cannot be used here"),
        (f"{'a' * 70}.example:1", "is unknown"),
    ],
)
def test_a_wrong_target(text: str, problem: str) -> None:
    with pytest.raises(AddressError, match=problem):
        grpc_target(text)


def test_whether_one_can_listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = f"127.0.0.1:{server.getsockname()[1]}"
        assert not is_free(taken)
    assert is_free(taken)
    with pytest.raises(AddressError, match=r"192\.0\.2\.7 is not an address of this machine"):
        is_free("192.0.2.7:8099")
    with pytest.raises(AddressError, match="the host no-such-host"):
        is_free("no-such-host.invalid:8099")


def test_port_zero_becomes_a_free_port() -> None:
    address = with_port("127.0.0.1:0")
    assert address != "127.0.0.1:0"
    assert is_free(address)
    assert with_port("127.0.0.1:8099") == "127.0.0.1:8099"
    with pytest.raises(AddressError, match="is not an address of this machine"):
        with_port("192.0.2.7:0")


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("127.0.0.1:8080", "http://localhost:8080/"),
        ("0.0.0.0:80", "http://localhost:80/"),
        ("[::]:80", "http://localhost:80/"),
        ("[::1]:8099", "http://[::1]:8099/"),
        ("192.0.2.1:8080", "http://192.0.2.1:8080/"),
    ],
)
def test_the_page_can_be_opened_at_its_address(address: str, page: str) -> None:
    assert url(address) == page
