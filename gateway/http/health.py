"""Probes: whether the process lives, and whether this gateway can take a session.

They read what the gateway knows already and ask no stage.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.stages.mesh import Mesh


def routes(mesh: Mesh) -> list[Route]:
    """Returns the routes of the probes.

    Args:
        mesh: The stages.
    """
    probes = _Probes(mesh)
    return [Route("/healthz", probes.healthz), Route("/readyz", probes.readyz)]


class _Probes:
    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    async def healthz(self, request: Request) -> Response:
        """Reports that the process lives."""
        return PlainTextResponse("ok")

    async def readyz(self, request: Request) -> Response:
        """Reports whether this gateway takes sessions: 200, or 503 with the reason.

        A stage that is lost later is a problem, but no reason: every gateway would lose it at once,
        and a gateway that is taken out of service cannot tell anybody.
        """
        reason = self._reason()
        body = {
            "ready": not reason,
            "reason": reason,
            "problems": self._mesh.states.problems(),
        }
        return JSONResponse(body, status_code=503 if reason else 200)

    def _reason(self) -> str:
        if self._mesh.drain.begun:
            return "the gateway is going away"
        if missing := self._mesh.states.never_seen():
            return f"not seen since the start: {', '.join(missing)}"
        return ""
