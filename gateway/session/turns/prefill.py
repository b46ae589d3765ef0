"""Lets the language model read the conversation while the person still speaks."""

from __future__ import annotations

import asyncio
import uuid
from typing import Final

import grpc

from anima.llm.v1 import llm_pb2 as llm
from gateway import metrics
from gateway.session.history import History
from gateway.session.opening import Opening
from gateway.stages.mesh import Mesh
from gateway.turn.speaking.manner import offered
from services.runtime.errors import error_from_rpc
from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import Tasks

_TIMEOUT_S: Final = 30.0


class Prefill:
    """The prefills of one session, at most one at a time.

    Its end means nothing: an answer is the same without it.

    Args:
        mesh: The stages.
        opening: The parameters of the session.
        history: The history of the session.
    """

    def __init__(self, *, mesh: Mesh, opening: Opening, history: History) -> None:
        self._mesh = mesh
        self._opening = opening
        self._history = history
        self._wanted = mesh.settings.prefill
        self._running: asyncio.Task[None] | None = None
        self._tasks = Tasks("prefill")

    def start(self) -> None:
        """Starts reading, unless it is being done."""
        if self._wanted and self._running is None:
            self._running = self._tasks.start(self._read(), name="prefill")
            self._running.add_done_callback(self._ended)

    def stop(self) -> None:
        """Stops reading: the question itself is asked now."""
        if self._running is not None:
            self._running.cancel()

    async def close(self) -> None:
        """Stops reading and waits for the end."""
        await self._tasks.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running = None

    async def _read(self) -> None:
        opening = self._opening
        config = llm.GenerateConfig(
            turn_id=uuid.uuid4().hex,
            persona=opening.persona.name,
            language=opening.config.language,
            history=self._history.messages(),
            user_id=opening.config.user_id,
            time_zone=opening.config.time_zone,
            tools=offered(speech=opening.speech, wanted=self._mesh.settings.speech_by_asking),
        )
        result = "stopped"
        try:
            request = llm.PrefillRequest(config=config)
            response = await self._mesh.llm.Prefill(
                request, timeout=_TIMEOUT_S, metadata=opening.route.metadata()
            )
            result = "read" if response is not None and response.read else "not read"
        except grpc.aio.AioRpcError as error:
            # A stage of an older version; the others fail for reasons that the question meets too.
            self._wanted = error.code() is not grpc.StatusCode.UNIMPLEMENTED
            result = "failed"
            get_logger().debug("no prefill", why=str(error_from_rpc(error)))
        finally:
            metrics.PREFILLS.labels(result).inc()
