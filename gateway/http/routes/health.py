"""Probes: whether the process is alive, and whether this gateway can take a session.

They read only state that the gateway already has and call no stage.
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
        """Reports that the process is alive."""
        return PlainTextResponse("ok")

    async def readyz(self, request: Request) -> Response:
        """Reports whether this gateway takes sessions: 200, or 503 with the reason.

        A stage that is lost later is reported as a problem but does not make the gateway unready:
        every gateway would lose it at the same time, and a gateway out of service could not notify
        its clients.
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
            return f"not seen since startup: {', '.join(missing)}"
        return ""
