"""The recognition service: maps protobuf requests to engine calls and back."""

from collections.abc import AsyncIterator
from typing import Any

import grpc

from anima.asr.v1 import (
    AsrServiceServicer,
    DescribeEngineRequest,
    DescribeEngineResponse,
    RecognizeConfig,
    RecognizeRequest,
    RecognizeResponse,
    Started,
    add_AsrServiceServicer_to_server,
)
from anima.common.v1 import ChunkHeader, Interrupted
from services.asr.answers import to_response
from services.asr.choosing.choice import choose_engine
from services.asr.engine import AsrEngine
from services.asr.events import Final
from services.asr.recogniser import Recogniser
from services.asr.requests import check_config, not_understood
from services.asr.session import RecognitionSession
from services.asr.settings import AsrSettings
from services.runtime.audio import AudioReceiver
from services.runtime.calls.streams import open_stream
from services.runtime.engine import watch_of
from services.runtime.engines import load_engine
from services.runtime.errors import FailedPrecondition, InvalidRequest
from services.runtime.limits.progress import MAX_CALL_S, StreamLimits
from services.runtime.observing.logs import get_logger
from services.runtime.server import Stage

Context = grpc.aio.ServicerContext[Any, Any]


class AsrServicer(AsrServiceServicer):
    """Implements `anima.asr.v1.AsrService`."""

    def __init__(self, recogniser: Recogniser, *, capacity: int, reason: str = "") -> None:
        self._recogniser = recogniser
        self._capacity = capacity
        self._reason = reason

    async def Recognize(  # noqa: N802
        self, request_iterator: AsyncIterator[RecognizeRequest], context: Context
    ) -> AsyncIterator[RecognizeResponse]:
        """Recognises the speech of one stream."""
        config, requests = await open_stream(request_iterator)
        session_config = check_config(config, self._recogniser.describe())
        session = await self._recogniser.open_session(session_config)
        try:
            expected = session_config.not_understood
            stream = _Recognition(
                config,
                session,
                foreign=not_understood(expected, self._recogniser.describe()) if expected else None,
            )
            yield stream.address(
                RecognizeResponse(started=Started(language=session_config.language))
            )
            async for response in stream.run(requests):
                yield response
        finally:
            await session.close()

    async def DescribeEngine(  # noqa: N802
        self, request: DescribeEngineRequest, context: Context
    ) -> DescribeEngineResponse:
        """Describes the engine."""
        return DescribeEngineResponse(
            engine=self._recogniser.describe().message(capacity=self._capacity, reason=self._reason)
        )


class _Recognition:
    """One open stream.

    It reads a message only after the previous one is processed: gRPC's flow control slows down a
    caller that sends faster than the engine recognises, and no queue builds up here.

    Args:
        config: The first message.
        session: Recognises the audio.
        foreign: The error for speech that is in none of the engine's languages; None: its text is
            passed on.
    """

    def __init__(
        self,
        config: RecognizeConfig,
        session: RecognitionSession,
        *,
        foreign: FailedPrecondition | None,
    ) -> None:
        self._foreign = foreign
        self._turn_id = config.turn_id
        self._epoch = config.epoch
        self._single_utterance = config.single_utterance
        self._session = session
        self._sequence = 0
        self._audio = AudioReceiver(
            sample_rate_hz=config.sample_rate_hz, epoch=config.epoch, turn_id=config.turn_id
        )

    def address(self, response: RecognizeResponse) -> RecognizeResponse:
        """Sets the header of a response."""
        self._sequence += 1
        response.header.CopyFrom(
            ChunkHeader(turn_id=self._turn_id, epoch=self._epoch, sequence=self._sequence)
        )
        return response

    async def run(
        self, requests: AsyncIterator[RecognizeRequest]
    ) -> AsyncIterator[RecognizeResponse]:
        """Processes the messages after the config.

        If they end without `end_of_speech`, the open utterance has no result: a half-close does not
        mark the end of speech, and a client's cancel looks the same at first.
        """
        async for request in requests:
            if request.HasField("interrupt"):
                yield self._interrupt(request.interrupt.epoch)
                continue
            last = request.HasField("end_of_speech")
            if last:
                events = self._session.finish()
            else:
                samples = self._audio.accept(request.audio)
                if samples is None:
                    continue
                events = self._session.accept(samples)
            async for event in events:
                if isinstance(event, Final) and event.transcript.foreign and self._foreign:
                    raise self._foreign
                yield self.address(to_response(event))
                if self._single_utterance and isinstance(event, Final):
                    return
            if last:
                return

    def _interrupt(self, epoch: int) -> RecognizeResponse:
        if epoch <= self._epoch:
            raise InvalidRequest(
                f"interrupt.epoch: {epoch} must be greater than the stream's epoch, {self._epoch}"
            )
        self._session.drop()
        self._epoch = epoch
        self._audio.raise_epoch(epoch)
        return self.address(RecognizeResponse(interrupted=Interrupted(epoch=epoch)))


def build(settings: AsrSettings) -> Stage:
    """Builds the stage with the engine that the settings name, or else the best one that can run.

    Raises:
        SettingsError: The engine is unknown or cannot run here.
    """
    choice = choose_engine(settings)
    engine: AsrEngine = load_engine("asr", choice.engine, settings)
    log = get_logger().info if choice.is_best else get_logger().warning
    log("recogniser chosen", engine=choice.engine, reason=choice.reason)
    recogniser = Recogniser(engine, settings)
    servicer = AsrServicer(recogniser, capacity=settings.capacity, reason=choice.reason)
    return Stage(
        service="anima.asr.v1.AsrService",
        add_to_server=lambda server: add_AsrServiceServicer_to_server(servicer, server),
        warm_up=recogniser.open,
        counted_methods=frozenset({"Recognize"}),
        limits={
            "Recognize": StreamLimits(
                silence_s=settings.stall_timeout_s,
                unread_s=settings.stall_timeout_s,
                last="end_of_speech",
                total_s=MAX_CALL_S,
            )
        },
        close=recogniser.close,
        watch=watch_of(engine),
    )
