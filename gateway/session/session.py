"""One conversation, independent of any transport: gRPC, REST and WebSocket are thin edges over it.

How an edge uses it::

    async with (
        Session.open(mesh, config) as session,
        beside(feed(session, requests), name="input"),  # calls session.text(), session.audio() ...
    ):
        async for event in session.events():  # ConverseResponse; the first is `session_started`
            await send(event)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from anima.asr.v1 import asr_pb2 as asr
from anima.avatar.v1 import avatar_pb2 as avatar
from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from gateway import metrics
from gateway.listening.end_of_turn.words import UNFINISHED_MS
from gateway.listening.listening import Listening
from gateway.session.events import Played, SessionEvent, SessionEvents, StopCommand, Typed
from gateway.session.history import History
from gateway.session.likely_names import LikelyNames
from gateway.session.loudspeaker import Loudspeaker
from gateway.session.opening import Opening, check_config, open_with, stages_of
from gateway.session.pictures import WaitingPictures
from gateway.session.recording import Recording, recording_file
from gateway.session.shown_idle import IdleLoop
from gateway.session.turns.turn_maker import MAX_QUESTION_CHARS
from gateway.session.turns.turn_taking import TurnTaking
from gateway.stages.mesh import Mesh
from gateway.turn.playout.outbox import Outbox
from services.runtime.errors import DeadlineExceeded, InvalidRequest
from services.runtime.identity.caller import caller
from services.runtime.limits.callers import counted_as
from services.runtime.process.tasks import Tasks
from services.runtime.validation import check_range, check_turn_id, cleaned_text

__all__ = ["Mesh", "Session"]

IDLE_TIMEOUT_S = 600.0
"""A conversation in which nothing happens for this long ends."""
IDLE = "IDLE"
"""The reason of the error that ends it."""
# A conversation in which nothing has happened this long gives its place to one who comes.
_SPARE_AFTER_S = 20.0
_DRAIN_CHECK_S = 0.5
_MAX_SAMPLES = 2**53
_MAX_COUNT = 2**32 - 1
_MAX_EARLIER_CHARS = 16_000
_ROLES = {"user": llm.ROLE_USER, "assistant": llm.ROLE_ASSISTANT}
_ROLE_NAMES = {role: name for name, role in _ROLES.items()}


class Session:
    """A conversation with a digital human.

    Call every method in the event loop that opened the session. Methods that take input raise
    `InvalidRequest` (`services.runtime.errors`) for invalid input; the session then continues as if
    the input had not been sent.
    """

    def __init__(self, *, mesh: Mesh, opening: Opening, history: History) -> None:
        self._mesh = mesh
        self._opening = opening
        self._caller = counted_as(caller(), by_address=True)
        self._outbox = Outbox()
        self._no_more_input = False
        self._closed = False
        video = opening.video
        self._idle = IdleLoop(frame_rate_hz=0 if video is None else video.frame_rate_hz)
        # An explicit `end_silence_ms` overrides the semantic rule.
        given_ms = opening.config.endpointing.end_silence_ms
        judged = mesh.settings.semantic_end_of_turn and not given_ms
        self._history = history
        self._end_of_turn = mesh.end_of_turn.for_session() if judged else None
        folder = mesh.settings.turn_log_dir
        self._file = recording_file(folder, opening.session_id) if folder else None
        self._recording = Recording(self._file.write, opening.config) if self._file else None
        self._loudspeaker = Loudspeaker(mesh, opening)
        self._pictures = WaitingPictures(mesh.pictures)
        self._turns = TurnTaking(
            mesh=mesh,
            opening=opening,
            outbox=self._outbox,
            history=history,
            idle=self._idle,
            pictures=self._pictures,
            on_idle=self._finish_if_idle,
            on_failure=self._outbox.finish,
            end_of_turn=self._end_of_turn,
            hears_itself=lambda: self._loudspeaker.hears_itself,
        )
        self._events = SessionEvents(
            turns=self._turns,
            outbox=self._outbox,
            language=opening.config.notice_language or opening.listen_language,
            record=self._record,
            on_settled=self._finish_if_idle,
        )
        self._likely_names = LikelyNames(mesh, opening, history)
        self._listening = self._listen()
        self._hears = False
        self._tasks = Tasks("session", on_failure=self._outbox.finish)
        self._active_at = asyncio.get_running_loop().time()
        self._tasks.start(self._end_when_left(), name="left")
        self._started = pb.SessionStarted(
            session_id=opening.session_id,
            persona=opening.persona,
            video=opening.video,
            sample_rate_hz=mesh.settings.sample_rate_hz if opening.speech else 0,
        )
        self._outbox.post(pb.ConverseResponse(session_started=self._started))

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        mesh: Mesh,
        config: pb.ConverseConfig,
        *,
        history: Sequence[tuple[str, str]] = (),
    ) -> AsyncIterator[Session]:
        """Opens a conversation and closes it at the end of the block.

        Closing cancels all work and frees the place; the person's last question and the heard part
        of its answer are still remembered, in the background.

        Args:
            mesh: The stages, already entered.
            config: The client's config. Empty fields mean the defaults of the contract.
            history: The messages of an earlier session that this one continues, oldest first:
                ("user" or "assistant", text).

        Yields:
            The open session; its first event is `session_started`.

        Raises:
            InvalidRequest: A field of `config` is invalid; the text names it.
            NotFound: The persona, voice or avatar is unknown; the text lists the known ones.
            Busy: All places are taken, or a required stage is full.
            Unavailable: The language model has never answered, so no persona is known; or the
                gateway is going away.
        """
        mesh.drain.check()
        check_config(config)
        mesh.overload.check(stages_of(config))
        earlier = History([_message(role, text) for role, text in history])
        key = counted_as(caller(), by_address=True)
        with mesh.places.place(caller=key) as place, metrics.SESSIONS.track_inprogress():
            opening = open_with(config, (await mesh.catalogue.read()).seen_by(caller()))
            mesh.drain.check()
            session = cls(mesh=mesh, opening=opening, history=earlier)
            mesh.drain.listeners.add(session._go_away)
            place.holder = session
            try:
                yield session
            finally:
                mesh.drain.listeners.discard(session._go_away)
                # A server that stops cancels once more; what was heard is remembered all the same.
                await asyncio.shield(mesh.background.start(session._close(), name="session close"))

    @property
    def started(self) -> pb.SessionStarted:
        """The parameters of the session: id, persona, video format, audio rate."""
        return self._started

    @property
    def history(self) -> list[tuple[str, str]]:
        """The messages so far, oldest first, as `open` accepts them; also after closing."""
        return [(_ROLE_NAMES[m.role], m.text) for m in self._history.messages()]

    async def text(self, text: str) -> None:
        """Asks a typed question; the current answer is interrupted first.

        Waits while the client reads too slowly, and until an interrupted answer has stopped (a few
        ms).

        Args:
            text: The question, 1 to 8,000 characters.
        """
        if not text.isascii():
            _check_unicode(text)
        text = cleaned_text("text.text", text, MAX_QUESTION_CHARS)
        self._mesh.speech.check(self._caller)
        self._mesh.questions.take(self._caller)
        asked_at = self._active_at = asyncio.get_running_loop().time()
        await self._events.take(Typed(text=text, asked_at=asked_at))

    async def picture(self, data: bytes, *, more: bool = False) -> None:
        """Takes a piece of a picture that belongs to the next question; waits until it is decoded.

        Args:
            data: The next bytes of a JPEG, PNG or WebP file; empty, with none before: the pictures
                that wait are dropped.
            more: Whether more pieces of this picture follow.

        Raises:
            Busy: Too many pictures are being decoded, or the caller has asked too much.
        """
        if data and not more:
            self._mesh.questions.take(self._caller)
        self._active_at = asyncio.get_running_loop().time()
        await self._pictures.take(data, more=more)

    async def audio(self, chunk: common.AudioChunk) -> None:
        """Takes microphone audio, either continuous or only while a button is held.

        Args:
            chunk: Mono int16 at the config's rate; `start_sample` counts from the start of the
                session's audio, without gaps. `header` may be left out.
        """
        self._mesh.speech.take(self._caller, len(chunk.pcm) / 2 / self._opening.input_rate_hz)
        self._start_listening()
        self._active_at = asyncio.get_running_loop().time()
        if self._hears:
            await self._listening.audio(chunk)

    async def end_of_speech(self) -> None:
        """Reports that the person has finished (button released), without waiting for silence."""
        self._start_listening()
        self._active_at = asyncio.get_running_loop().time()
        self._listening.end_of_speech()

    async def stop(self) -> None:
        """Stops the current answer; does nothing if there is none."""
        await self._events.take(StopCommand())

    def playback(self, report: pb.PlaybackReport) -> None:
        """Takes a report of how far a turn has been played, which determines the heard part."""
        check_turn_id("playback.turn_id", report.turn_id)
        check_range("playback.played_samples", report.played_samples, 0, _MAX_SAMPLES)
        self._events.played(Played(report=report))

    def idle(
        self, frame: int, activity: avatar.Activity.ValueType = avatar.ACTIVITY_UNSPECIFIED
    ) -> None:
        """Records the frame of the idle loop that the client shows, so that answers start there."""
        check_range("idle.frame", frame, 0, _MAX_COUNT)
        if activity not in avatar.Activity.values():
            raise InvalidRequest(f"idle.activity: {activity} is not a known activity")
        self._idle.report(frame, activity)

    def finish(self) -> None:
        """Reports that no more input follows: `events` ends after the current answer."""
        self._no_more_input = True
        self._finish_if_idle()

    def events(self) -> AsyncIterator[pb.ConverseResponse]:
        """Yields the events of the session, in order, for a single reader.

        The queue for a slow reader is bounded; an interruption drops unread media.
        """
        events = self._loudspeaker.follow(self._outbox.read())
        return events if self._recording is None else self._recording.saying(events)

    async def until_stalled(self) -> None:
        """Waits until the client has left events unread for too long.

        Raises:
            DeadlineExceeded: The client has stalled; the edge should end the conversation.
        """
        timeout_s = self._mesh.settings.client_stall_timeout_s
        await self._outbox.until_stalled(timeout_s)
        metrics.EVICTED.inc()
        raise DeadlineExceeded(
            f"the client has not read for {timeout_s:g} s, so the conversation was ended",
            reason="CLIENT_STALLED",
        )

    @property
    def idle_s(self) -> float:
        """For how long nobody has spoken, typed or answered, s."""
        if not self._turns.idle or self._listening.waiting or self._listening.hearing:
            return 0.0
        return asyncio.get_running_loop().time() - self._active_at

    @property
    def overdue_s(self) -> float:
        """For how long the session has kept its place without need, s; 0: it needs it."""
        return max(0.0, self.idle_s - _SPARE_AFTER_S)

    def end(self, error: Exception) -> None:
        """Ends the session of a client that has left it, or whose place another one needs."""
        metrics.EVICTED.inc()
        self.fail(error)

    def fail(self, error: Exception) -> None:
        """Ends the session for its reader: `events` raises the error at once."""
        self._outbox.finish(error)

    def _listen(self) -> Listening:
        opening = self._opening
        config = asr.RecognizeConfig(
            sample_rate_hz=opening.input_rate_hz,
            language=opening.listen_language,
            # The person has chosen the language, or else speaks one of those of the persona.
            candidate_languages=() if opening.config.language else opening.persona.languages,
            single_utterance=True,
            endpointing=opening.config.endpointing,
        )
        if self._end_of_turn is not None:
            config.endpointing.end_silence_ms = UNFINISHED_MS
        return Listening(
            self._mesh,
            self._events.take,
            config,
            route=opening.route,
            end_of_turn=self._end_of_turn,
            likely_words=self._likely_names.words,
            echo=self._loudspeaker.canceller,
        )

    def _start_listening(self) -> None:
        # A client may send more while its session ends; nobody would end what starts then.
        if not self._hears and not self._closed:
            self._hears = True
            # It runs until it is cancelled; a failure is an internal error that the client must
            # see.
            self._tasks.start(self._listening.run(), name="listening")
            self._tasks.start(self._likely_names.load(), name="likely names")

    def _record(self, event: SessionEvent) -> None:
        if self._recording is not None:
            self._recording.heard(event)

    def _go_away(self) -> None:
        self._turns.go_away()
        self._tasks.start(self._finish_when_idle(), name="drain")

    async def _finish_when_idle(self) -> None:
        """Ends the events of a session that goes away, also when a microphone fell silent."""
        while True:
            self._finish_if_idle()
            await asyncio.sleep(_DRAIN_CHECK_S)

    async def _end_when_left(self) -> None:
        while (left_s := IDLE_TIMEOUT_S - self.idle_s) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left_s)
        self.end(
            DeadlineExceeded(
                f"nothing was said or asked for {IDLE_TIMEOUT_S:g} s, so the conversation was"
                " ended; open another one",
                reason=IDLE,
            )
        )

    def _finish_if_idle(self) -> None:
        self._active_at = asyncio.get_running_loop().time()
        if not (self._no_more_input or self._turns.going_away):
            return
        # Without more input, an utterance that is still being spoken would never end.
        speaking = self._listening.hearing and not self._no_more_input
        if self._turns.idle and not self._listening.waiting and not speaking:
            self._outbox.finish()

    async def _close(self) -> None:
        self._closed = True
        self._turns.refuse()  # before the outbox, which makes room for a question that waits
        self._outbox.finish()
        await self._tasks.close()
        await self._turns.close()
        if self._file is not None:
            self._file.close()


def _message(role: str, text: str) -> llm.Message:
    if role not in _ROLES:
        raise InvalidRequest(f"history: {role[:20]!r} is neither 'user' nor 'assistant'")
    return llm.Message(role=_ROLES[role], text=cleaned_text("history", text, _MAX_EARLIER_CHARS))


def _check_unicode(text: str) -> None:
    # JSON can contain half of a surrogate pair, which no proto message can carry.
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"text.text: is not valid Unicode at character {error.start}"
        ) from None
