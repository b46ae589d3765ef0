"""Downloads a document from the web, but never from inside the network for somebody outside.

A page may redirect to a service of this machine or of the local network, or its name may resolve to
one, and the document would then show to others what only this machine can reach. So each name is
resolved once, its addresses are checked, and the connection goes to a checked address.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable
from typing import Final

import httpx

MAX_REDIRECTS: Final = 5
MAX_FETCH_S: Final = 120.0
_TIMEOUT_S: Final = 30.0
_SCHEMES: Final = ("http", "https")
_PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class FetchError(Exception):
    """A document cannot be downloaded; the text gives the reason."""


def fetch(
    address: str, *, accept: str, max_bytes: int, name_of: Callable[[httpx.URL, str], str]
) -> tuple[str, bytes]:
    """Downloads a document, following redirects.

    Args:
        address: An http or https URL. If it is local, so may be what it redirects to.
        accept: The media types for the server.
        max_bytes: The maximum size.
        name_of: Returns the name of a file for its URL, after redirects, and its media type; what
            it raises ends the download before the content.

    Returns:
        The name and the content.

    Raises:
        FetchError: It cannot be downloaded, is too large, takes too long, or is at an address that
            is not allowed.
    """
    end_s = time.monotonic() + MAX_FETCH_S
    try:
        url = httpx.URL(address)
        credentials = (url.host, url.port, url.userinfo)
        may_be_local = _is_local(_resolved(url))
        # A proxy would resolve the names again.
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
            for _ in range(MAX_REDIRECTS + 1):
                same_host = credentials[:2] == (url.host, url.port)
                url = url.copy_with(userinfo=credentials[2] if same_host else b"")
                response = _answered(client, url, may_be_local, accept)
                try:
                    if not response.has_redirect_location:
                        if response.is_error:
                            raise FetchError(f"the server answered {response.status_code}")
                        name = name_of(url, _media_type(response))
                        return name, _read(response, max_bytes, end_s)
                    url = url.join(response.headers["location"])
                finally:
                    response.close()
                if url.scheme not in _SCHEMES:
                    raise FetchError(f"it redirects to {url.scheme}, not to http or https")
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        problem = str(error) or type(error).__name__
        raise FetchError(f"it cannot be downloaded: {problem}") from error
    raise FetchError(f"it has more than {MAX_REDIRECTS} redirects")


def _answered(
    client: httpx.Client, url: httpx.URL, may_be_local: bool, accept: str
) -> httpx.Response:
    """Sends a request to the first address of a host that answers and is allowed."""
    allowed = [one for one in _resolved(url) if _is_allowed(one, may_be_local)]
    if not allowed:
        raise FetchError(
            f"{url.host} is inside the local network or this machine: download it yourself, and add"
            " the file"
        )
    failure: httpx.TransportError | None = None
    for address in allowed:
        request = client.build_request(
            "GET",
            url.copy_with(host=str(address)),
            headers={
                "Host": url.netloc.decode("ascii"),
                "User-Agent": "anima",
                "Accept": accept,
            },
            # The certificate must be for the name, not for its address.
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )
        try:
            return client.send(request, stream=True)
        except httpx.ConnectError as error:
            failure = error
    assert failure is not None  # noqa: S101 - there was at least one address
    raise failure


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _read(response: httpx.Response, max_bytes: int, end_s: float) -> bytes:
    content = bytearray()
    for piece in response.iter_bytes():
        content += piece
        if len(content) > max_bytes:
            raise FetchError(f"it is larger than {max_bytes // 1024**2} MiB: split it")
        if time.monotonic() > end_s:
            raise FetchError(f"it was not downloaded within {MAX_FETCH_S:.0f} s")
    return bytes(content)


def _resolved(url: httpx.URL) -> list[Address]:
    port = url.port or _PORTS.get(url.scheme, 0)
    try:
        found = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise FetchError(f"{url.host} cannot be found: {error.strerror}") from error
    # A link-local address has its interface behind "%".
    texts = dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found)
    return [_unwrapped(ipaddress.ip_address(text)) for text in texts]


def _unwrapped(address: Address) -> Address:
    """Returns the IPv4 address within an IPv6 address that only stands for it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _is_local(addresses: list[Address]) -> bool:
    return bool(addresses) and all(
        (one.is_loopback or one.is_private) and _is_host(one) for one in addresses
    )


def _is_allowed(address: Address, may_be_local: bool) -> bool:
    return _is_host(address) and (may_be_local or address.is_global)


def _is_host(address: Address) -> bool:
    # Link-local addresses are those of the metadata services of clouds.
    return not (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or (address.is_reserved and not address.is_loopback)
    )
