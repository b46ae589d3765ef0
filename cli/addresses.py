"""Parses addresses typed by users and reports faults in one sentence."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Callable
from typing import Final

from cli.console import fail
from services.runtime.config.settings import TARGET_SCHEMES

LOOPBACK: Final = "127.0.0.1"
MAX_PORT: Final = 65_535


class AddressError(Exception):
    """An address is unusable; the text is one sentence without the name of the option."""


def checked(option: str, parse: Callable[[str], str], text: str) -> str:
    """Returns the parsed value of an option; an invalid one exits the command with one sentence."""
    try:
        return parse(text)
    except AddressError as error:
        fail(f"{option}: {error}")


def http_address(text: str) -> str:
    """Returns "host:port" of PORT, HOST:PORT, [IPV6]:PORT or an http:// URL without a path.

    Raises:
        AddressError: It is none of these.
    """
    return _host_and_port(text, example_port=8080)


def grpc_target(text: str) -> str:
    """Returns the gRPC target of PORT, HOST:PORT, [IPV6]:PORT, an http:// URL or a target.

    Raises:
        AddressError: It is none of these, or the host is unknown.
    """
    if text.startswith(TARGET_SCHEMES):
        return text
    address = _host_and_port(text, example_port=50050)
    _resolve(address)
    return address


def is_free(address: str) -> bool:
    """Returns whether "host:port" of this machine is free to listen on.

    Raises:
        AddressError: It is not an address of this machine, or the port requires privileges.
    """
    family, _, _, _, where = _resolve(address)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise AddressError(_why_not(address, error)) from error
    return True


def with_port(address: str) -> str:
    """Returns the address, with a free port in place of port 0.

    Raises:
        AddressError: Listening on it is impossible.
    """
    host, _, port = address.rpartition(":")
    if int(port) != 0:
        return address
    family, _, _, _, where = _resolve(address)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(where)
            return f"{host}:{probe.getsockname()[1]}"
    except OSError as error:
        raise AddressError(_why_not(address, error)) from error


def url(address: str) -> str:
    """Returns the URL at which a browser on this machine opens "host:port"."""
    host, _, port = address.rpartition(":")
    everywhere = ("0.0.0.0", "[::]")  # noqa: S104 (to recognise it, not to listen on it)
    return f"http://{'localhost' if host in (LOOPBACK, *everywhere) else host}:{port}/"


def _host_and_port(text: str, *, example_port: int) -> str:
    scheme, separator, rest = text.strip().rpartition("://")
    if separator and scheme.lower() != "http":
        raise AddressError(f"{scheme}:// cannot be used here, give HOST:PORT")
    rest = rest.removesuffix("/")
    if not rest:
        raise AddressError(f"it is empty, give PORT or HOST:PORT such as {LOOPBACK}:{example_port}")
    if rest.isdecimal():
        return f"{LOOPBACK}:{_port(rest)}"
    host, colon, port = rest.rpartition(":")
    if _is_ipv6(rest) and not _is_ipv6(host):
        raise AddressError(f"{rest!r} has no port, write [{rest}]:{example_port}")
    if not colon or rest.endswith("]"):
        raise AddressError(f"{rest!r} has no port, write {rest}:{example_port}")
    if not host:
        number = _port(port)
        raise AddressError(
            f"{rest!r} has no host, write {LOOPBACK}:{number} or, for every address of this"
            f" machine, 0.0.0.0:{number}"
        )
    return f"{_host(host, port)}:{_port(port)}"


def _host(host: str, port: str) -> str:
    inner = host.removeprefix("[").removesuffix("]")
    if ":" not in inner:
        if host != inner or not re.fullmatch(r"[\w.-]+", inner):
            raise AddressError(f"{host!r} is not a host name")
        return host
    if not _is_ipv6(inner):
        raise AddressError(f"{host!r} is neither a host name nor an IPv6 address")
    if host == inner:
        raise AddressError(f"an IPv6 address needs brackets, write [{host}]:{port}")
    return host


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise AddressError(f"{text!r} is not a port, a number up to {MAX_PORT}")
    if len(text) > 5 or int(text) > MAX_PORT:
        raise AddressError(f"{text} is not a port, the largest is {MAX_PORT}")
    return int(text)


def _resolve(address: str) -> tuple[int, int, int, str, tuple[str, int]]:
    host, _, port = address.rpartition(":")
    inner = host.removeprefix("[").removesuffix("]")
    try:
        # IPv4 before IPv6 for a name with both, like the services.
        found = socket.getaddrinfo(inner, int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressError(f"the host {inner} is unknown") from None
    return min(found, key=lambda one: one[0] != socket.AF_INET)  # type: ignore[return-value]


def _why_not(address: str, error: OSError) -> str:
    host, _, port = address.rpartition(":")
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} requires privileges, choose one above 1023"
    return f"cannot listen on {address}: {error.strerror}"
