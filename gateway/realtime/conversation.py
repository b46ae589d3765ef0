"""The session of one connection: opened at the first input, closed when it is not needed."""

import asyncio
from collections.abc import Awaitable, Callable

from anima.common.v1.common_pb2 import AudioChunk
from anima.gateway.v1.gateway_pb2 import ConverseResponse, PlaybackReport
from gateway.realtime.client_events import ClientConfig
from gateway.realtime.histories import Histories
from gateway.session.session import IDLE, Session
from gateway.stages.mesh import Mesh
from services.runtime.calls.admission import PLACE_NEEDED
from services.runtime.errors import AnimaError, InvalidRequest
from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import Tasks

Deliver = Callable[[ConverseResponse], Awaitable[None]]
Begin = Callable[[ClientConfig, Session], Deliver]


class Conversation:
    """A session that takes a place of the gateway only while somebody converses.

    Args:
        mesh: The stages.
        histories: The histories of conversations that may be resumed.
        begin: Called with every opened session; returns the receiver of its events.
        failed: Called when an open session ends with an error.
    """

    def __init__(
        self,
        *,
        mesh: Mesh,
        histories: Histories,
        begin: Begin,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._mesh = mesh
        self._histories = histories
        self._begin = begin
        self._failed = failed
        self._tasks = Tasks("page conversation", on_failure=failed)
        self._task: asyncio.Task[None] | None = None
        self._session: Session | None = None
        self._rate_hz = 0
        self._next_sample = 0
        self._half_sample = b""

    @property
    def open_session(self) -> Session | None:
        """The session, if there is one."""
        return self._session if self._task is not None and not self._task.done() else None

    async def session(self, config: ClientConfig) -> Session:
        """Returns the session, and opens it if there is none.

        Raises:
            AnimaError: The session cannot be opened; the text gives the reason.
        """
        if (session := self.open_session) is not None:
            return session
        opened: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        # The last session has ended; nothing must reach it while the next one opens.
        self._session = None
        self._task = self._tasks.start(self._run(config, opened), name="page conversation")
        self._rate_hz, self._next_sample, self._half_sample = config.input_rate_hz, 0, b""
        self._session = await opened
        return self._session

    async def audio(self, config: ClientConfig, pcm: bytes) -> None:
        """Passes microphone audio to the session: signed 16-bit little-endian samples.

        A sample may be split: its first byte is kept for the next audio.

        Raises:
            InvalidRequest: There is no audio.
            AnimaError: The session cannot be opened.
        """
        if not pcm:
            raise InvalidRequest("audio: must not be empty")
        session = await self.session(config)
        pcm = self._half_sample + pcm
        whole = len(pcm) // 2 * 2
        pcm, self._half_sample = pcm[:whole], pcm[whole:]
        if not pcm:
            return
        start, self._next_sample = self._next_sample, self._next_sample + len(pcm) // 2
        await session.audio(AudioChunk(start_sample=start, sample_rate_hz=self._rate_hz, pcm=pcm))

    async def end_of_speech(self) -> None:
        """Ends the utterance with the audio received so far."""
        self._half_sample = b""
        if (session := self.open_session) is not None:
            await session.end_of_speech()

    def playback(self, report: PlaybackReport) -> None:
        """Passes on how far an answer has been played.

        Raises:
            InvalidRequest: The report is invalid.
        """
        if (session := self.open_session) is not None:
            session.playback(report)

    async def close(self) -> None:
        """Ends the session and frees its place."""
        self._task = self._session = None
        await self._tasks.close()

    async def _run(self, config: ClientConfig, opened: asyncio.Future[Session]) -> None:
        earlier = self._histories.take(config)
        wanted = config.converse_config()
        session: Session | None = None
        try:
            async with Session.open(self._mesh, wanted, history=earlier) as session:
                if opened.cancelled():  # the caller has gone
                    return
                deliver = self._begin(config, session)
                opened.set_result(session)
                async for event in session.events():
                    if event.WhichOneof("event") == "turn_ended":
                        # Kept even before the end, because the page may be opened a second time.
                        self._histories.keep(config, session.history)
                    await deliver(event)
        except asyncio.CancelledError:
            opened.cancel()
            raise
        except Exception as error:
            if not opened.done():
                opened.set_exception(error)
            elif isinstance(error, AnimaError) and error.reason in (IDLE, PLACE_NEEDED):
                get_logger().debug("a conversation gave its place back", reason=error.reason)
            else:
                self._failed(error)
        finally:
            if session is not None:
                self._histories.keep(config, session.history)


def words_of(error: BaseException) -> tuple[str, str]:
    """Returns the part of an error that a client may read: its code and its text."""
    if isinstance(error, AnimaError):
        return error.reason.lower(), str(error)
    return "internal", "The gateway has failed; please try again. See its log for the reason."
