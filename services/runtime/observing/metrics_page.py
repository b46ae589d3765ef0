"""The page `/metrics`, in threads of its own: a scrape must not wait for the event loop."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from socketserver import ThreadingMixIn
from typing import Any, Final
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from services.runtime.config.settings import SettingsError, is_loopback, split_address
from services.runtime.observing.logs import get_logger

_MOST_REQUESTS: Final = 16
_REQUEST_TIMEOUT_S: Final = 10.0
_PAUSE_S: Final = 0.2

_Environ = dict[str, Any]
_Start = Callable[[str, list[tuple[str, str]]], Any]


class MetricsPage:
    """Serves a registry at `/metrics`.

    It asks for no token. A web page that has pointed its own name at this machine cannot read it:
    the Host must be an address, a name of this machine, or one of `hosts`.

    Attributes:
        address: "host:port" as bound.
    """

    def __init__(
        self, registry: CollectorRegistry, listen: str, *, hosts: Sequence[str] = ()
    ) -> None:
        host, port = split_address("metrics_listen", listen)
        names = {"localhost", host.lower(), socket.gethostname().lower()}
        app = _guarded(make_wsgi_app(registry), names | {name.lower() for name in hosts})
        kind = _Server6 if ":" in host else _Server
        try:
            self._server = make_server(host, port, app, kind, handler_class=_Handler)
        except OSError as error:
            raise SettingsError(
                f"ANIMA_METRICS_LISTEN: cannot listen on {listen}: {error}"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )
        self._thread.start()
        shown = f"[{host}]" if ":" in host else host
        self.address = f"{shown}:{self._server.server_port}"
        if not is_loopback(listen):
            get_logger().warning(
                "the metrics page asks for no token; let only Prometheus reach it",
                address=self.address,
            )

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    """One thread per request, for a bounded number of requests and a bounded time."""

    daemon_threads = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._places = threading.BoundedSemaphore(_MOST_REQUESTS)
        super().__init__(*args, **kwargs)

    def get_request(self) -> Any:
        try:
            return super().get_request()
        except OSError:
            time.sleep(_PAUSE_S)  # without a free descriptor the loop would spin
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread could be started
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        late = threading.Timer(_REQUEST_TIMEOUT_S, _hang_up, [request])
        late.daemon = True
        late.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            late.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: the client has gone, or was too slow."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing."""


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed


def _guarded(app: Any, names: set[str]) -> Any:
    def guarded(environ: _Environ, start_response: _Start) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "")
        if _is_own(host, names):
            answer: Iterable[bytes] = app(environ, start_response)
            return answer
        headers = [
            ("content-type", "text/plain; charset=utf-8"),
            ("x-content-type-options", "nosniff"),
        ]
        start_response("400 Bad Request", headers)
        problem = f"host: {host[:80]!r} is not a name of this page; see ANIMA_METRICS_HOSTS\n"
        return [problem.encode()]

    return guarded


def _is_own(host: str, names: set[str]) -> bool:
    try:
        parts = urlsplit(f"//{host}")
        name = parts.hostname or ""
    except ValueError:
        return False
    if parts.netloc != host or "@" in host or not name:
        return False
    if name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True  # a name can be pointed at this machine, an address cannot
