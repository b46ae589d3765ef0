"""What the server knows of one call."""

from __future__ import annotations

import time
from typing import Any, Final

import grpc

from services.runtime.calls.admission import Place
from services.runtime.identity.authorisation import Permission
from services.runtime.identity.bearer import AUTHORIZATION
from services.runtime.limits.progress import Watch

HEALTH_PREFIX: Final = "/grpc.health.v1.Health/"
REFLECTION_PREFIX: Final = "/grpc.reflection."

_NONE: Final = Permission(roles=frozenset())
Context = grpc.aio.ServicerContext[Any, Any]


class Call:
    """One call: its method, metadata and start time.

    Attributes:
        requests: The messages of its client; None: the method takes a single one.
        first_read: Whether one of them was read.
    """

    def __init__(self, method: str, context: Context, requests: Any) -> None:
        self.method = method
        self.requests = requests
        self.first_read = False
        self.full_name = method.strip("/")
        self.service, _, self.name = self.full_name.partition("/")
        self.labels = (self.service, self.name)
        self.watch: Watch | None = None
        self.place: Place | None = None
        self.health = method.startswith(HEALTH_PREFIX)
        self.reflection = method.startswith(REFLECTION_PREFIX)
        given = [
            (key, value)
            for key, value in context.invocation_metadata() or ()
            if isinstance(value, str)
        ]
        self.metadata = dict(given)
        self.authorization = [value for key, value in given if key == AUTHORIZATION]
        self.peer = context.peer().rpartition(":")[0]
        self.started_s = time.perf_counter()
        self.code = grpc.StatusCode.OK
        self.permission = _NONE

    @property
    def observed(self) -> bool:
        """Whether it has a span and is counted; probes and reflection would drown out the rest."""
        return not (self.health or self.reflection)

    def elapsed_s(self) -> float:
        """Returns the time since the start, s."""
        return time.perf_counter() - self.started_s
