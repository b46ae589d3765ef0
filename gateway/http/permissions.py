"""The rows of the table of permissions for HTTP, found by method and path."""

from __future__ import annotations

import re
from typing import NamedTuple

from starlette.routing import compile_path
from starlette.types import Scope

from gateway.http.problems import Problem
from services.runtime.identity.authorisation import ROUTES, Permission


class _Row(NamedTuple):
    method: str
    path: re.Pattern[str]
    permission: Permission


def _row(route: str, permission: Permission) -> _Row:
    method, _, path = route.partition(" ")
    return _Row(method, compile_path(path)[0], permission)


_ROWS = [_row(route, permission) for route, permission in ROUTES.items()]


def permission_for(scope: Scope) -> Permission:
    """Returns the permission of a request or a handshake.

    Raises:
        Problem: 404 for a path without a row and 405 for a method without one.
    """
    method = "WS" if scope["type"] == "websocket" else scope["method"]
    method = "GET" if method == "HEAD" else method
    found = {row.method: row.permission for row in _ROWS if row.path.match(scope["path"])}
    if method in found:
        return found[method]
    allowed = sorted(found.keys() - {"WS"})
    if not allowed or method == "WS":
        raise Problem(404, f"{scope['path'][:80]} was not found")
    raise Problem(405, f"{method[:20]} is not allowed here", {"allow": ", ".join(allowed)})
