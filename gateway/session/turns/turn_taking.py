"""Turn-taking: at most one answer at a time, started early, held, resumed, interrupted.

An answer may be started on a guess that the person has finished; it stays behind a closed gate
until the recogniser confirms the guess, and is dropped without a trace if the person goes on.
Speech during an answer holds it at once; `BargeIn` decides whether it resumes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from anima.gateway.v1 import gateway_pb2 as pb
from gateway import metrics, notices
from gateway.listening.end_of_turn.words import EndOfTurn
from gateway.listening.events import EndGuess, Utterance
from gateway.session.history import History
from gateway.session.opening import Opening
from gateway.session.pictures import WaitingPictures
from gateway.session.shown_idle import IdleLoop
from gateway.session.turns.barge_in import HOLD_S, BargeIn, Move
from gateway.session.turns.own_words import OwnVoice
from gateway.session.turns.prefill import Prefill
from gateway.session.turns.turn_maker import TurnMaker
from gateway.session.turns.utterances import Said, classify
from gateway.stages.mesh import Mesh
from gateway.turn.playout.outbox import Outbox
from gateway.turn.turn import Turn, TurnOutcome
from services.runtime.errors import Unavailable
from services.runtime.process.clock import loop_time_s
from services.runtime.process.tasks import Tasks

# A backchannel this shortly before the end of an answer is a reply to it: "yes".
_ANSWERABLE_S = 1.0
# A person who speaks again within this time, before hearing any of the answer, was still asking.
_SAME_QUESTION_S = 1.5


class TurnTaking:
    """The turns of one session.

    Args:
        mesh: The stages.
        opening: The parameters of the session.
        outbox: The destination of events.
        history: The history of the session.
        idle: The idle loop that the client shows between answers.
        pictures: The pictures of the next question.
        on_idle: Called whenever the last event of an answer has been posted.
        on_failure: Called with the error that ends the turn-taking: the session cannot go on.
        end_of_turn: Notified when the person was cut off.
        hears_itself: Returns whether the microphone hears the answers.
    """

    def __init__(
        self,
        *,
        mesh: Mesh,
        opening: Opening,
        outbox: Outbox,
        history: History,
        idle: IdleLoop,
        pictures: WaitingPictures,
        on_idle: Callable[[], None],
        on_failure: Callable[[BaseException], None],
        end_of_turn: EndOfTurn | None = None,
        hears_itself: Callable[[], bool] = lambda: False,
    ) -> None:
        self._mesh = mesh
        self._end_of_turn = end_of_turn
        self._own_voice = OwnVoice(hears_itself, lambda: self._turn)
        self._opening = opening
        self._outbox = outbox
        self._maker = TurnMaker(
            mesh=mesh,
            opening=opening,
            outbox=outbox,
            history=history,
            idle=idle,
            pictures=pictures,
            on_end=self._keep,
        )
        self._prefill = Prefill(mesh=mesh, opening=opening, history=history)
        self._on_idle = on_idle
        self._epoch = 0
        self._changing = asyncio.Lock()
        self._turn: Turn | None = None
        self._turn_task: asyncio.Task[None] | None = None
        self._guess: Turn | None = None
        self._barge_in: BargeIn | None = None
        self._barged_at = 0.0
        self._expiry: asyncio.TimerHandle | None = None
        self._tasks = Tasks("turn taking", on_failure=on_failure)
        self._asked: Utterance | None = None
        self._carried = ""
        self._still_asking = ""
        self._asking = 0
        self._going_away_at: float | None = None
        self._closed = False

    @property
    def answering(self) -> bool:
        """True while there is an answer, held ones included."""
        return self._turn is not None and not self._turn.over

    @property
    def idle(self) -> bool:
        """True if no event of an answer follows: none is running, requested or being stopped."""
        return not self._asking and (self._turn is None or self._turn.ended)

    @property
    def going_away(self) -> bool:
        """True once `go_away` was called."""
        return self._going_away_at is not None

    def go_away(self) -> None:
        """Reports that the gateway is going away; questions that end later are refused."""
        self._going_away_at = loop_time_s()
        self._refuse()

    def turn(self, turn_id: str) -> Turn | None:
        """Returns the current turn if it has this id."""
        return self._turn if self._turn and self._turn.turn_id == turn_id else None

    async def ask(self, text: str, *, asked_at: float) -> None:
        """Answers a typed question; the current answer is interrupted first.

        Raises:
            Unavailable: The session was closed meanwhile.
        """
        refused = self.going_away
        with self._counted_as_asking(), self._remembered_if_left(text, when=not refused):
            async with self._changing:
                await self._drop_guess("typed")
                self._uncarry()
                await self._interrupt(cause_at=asked_at)
                if refused:
                    self._refuse()
                elif not await self._begin(text, asked_at=asked_at, spoken=False):
                    raise Unavailable("the conversation has ended; ask again", reason="ENDED")

    async def stop(self) -> None:
        """Stops the current answer; does nothing if there is none."""
        cause_at = loop_time_s()
        async with self._changing:
            await self._interrupt(cause_at=cause_at)

    async def speech_started(self, at: float) -> None:
        """Holds the current answer until the speech is recognised.

        Args:
            at: The start of the speech on the loop's clock.
        """
        async with self._changing:
            turn = self._turn
            if turn is None or turn.over:
                self._prefill.start()
            elif self._barge_in is None:
                answerable = turn.is_ending(_ANSWERABLE_S)
                self._barge_in = BargeIn(answerable=answerable, is_echo=self._own_voice.said)
                self._barged_at = at
                turn.hold()
                self._expiry = asyncio.get_running_loop().call_later(
                    HOLD_S, lambda: self._tasks.start(self._decide_late(), name="hold-expired")
                )

    async def partial(self, text: str) -> None:
        """Takes the text recognised so far."""
        if self._barge_in is None:
            return
        async with self._changing:
            if self._barge_in is not None:
                await self._move(self._barge_in.partial(text))

    async def guessed(self, guess: EndGuess) -> None:
        """Starts an answer to the probable question."""
        text = guess.text
        async with self._changing:
            if self._barge_in is not None:
                await self._move(self._barge_in.over(text, seconds=guess.speech_s))
            if self._guess is not None and self._guess.answers(self._whole(text)):
                return
            await self._drop_guess("changed")
            wanted = self._mesh.settings.speculation and self._opening.paced
            nothing = classify(text) in (Said.NOTHING, Said.STOP)
            if not wanted or nothing or self.answering or self._comes_too_late(guess.ended_at):
                return
            self._prefill.stop()
            self._guess = self._maker.make(
                self._whole(text),
                epoch=self._epoch,
                asked_at=guess.ended_at,
                spoken=True,
                speculative=True,
            )
            self._guess.start()

    async def resumed(self) -> None:
        """Drops the answer to the last guess, because the person goes on speaking."""
        async with self._changing:
            await self._drop_guess("resumed")

    async def heard(self, utterance: Utterance) -> None:
        """Answers an utterance, or resumes a held answer if its text is empty."""
        async with self._changing:
            barge_in, self._barge_in = self._barge_in, None
            move = None
            if barge_in is not None:
                seconds = utterance.ended_at - utterance.started_at
                move = barge_in.over(utterance.text, seconds=seconds)
            stop = classify(utterance.text) is Said.STOP and barge_in is not None
            # Also if the answer was stopped meanwhile by other means: the speech was part of it.
            nothing = barge_in is not None and barge_in.decided is Move.RESUME
            echo = barge_in is None and self._own_voice.said_last(utterance)
            is_question = bool(utterance.text) and not (nothing or stop or echo)
            asked = is_question and not self._comes_too_late(utterance.ended_at)
            with self._remembered_if_left(utterance.text, when=asked, goes_on=True):
                await self._move(move)
                if barge_in is not None:
                    self._settle_hold()
                elif is_question:
                    # The current answer is to a question that was typed while the person spoke.
                    await self._interrupt(cause_at=utterance.started_at)
                if asked:
                    await self._answer(utterance)
                    return
                await self._drop_guess("not a question")
                self._uncarry()
                if is_question:
                    self._refuse()

    async def _answer(self, utterance: Utterance) -> None:
        """Answers a spoken question, with the answer that was started on a guess if it fits."""
        text = self._whole(utterance.text)
        self._asked = utterance
        guess = self._guess
        if guess is None or not guess.answers(text):
            await self._drop_guess("other words")
            if await self._begin(text, asked_at=utterance.ended_at, spoken=True):
                self._carried = ""
            return
        await self._outbox.until_room()
        if self._closed:
            return
        self._guess = None
        self._carried = ""
        metrics.SPECULATIONS.labels("confirmed").inc()
        self._take(guess)
        guess.commit(text, asked_at=utterance.ended_at)
        self._maker.report_quality(guess)

    async def silent(self) -> None:
        """Resumes a held answer, because the result of the utterance will not arrive."""
        async with self._changing:
            await self._drop_guess("not recognised")
            if self._barge_in is not None:
                await self._move(self._barge_in.over("", seconds=0.0))
                self._barge_in = None
                self._settle_hold()
            self._uncarry()

    def refuse(self) -> None:
        """Refuses every question from now on, also one that waits for room."""
        self._closed = True

    async def close(self) -> None:
        """Cancels everything; the question and the heard part still go to the memory.

        Tasks that wait for room in the outbox must have been released before.
        """
        self.refuse()
        self._settle_hold()
        await self._tasks.close()
        await self._prefill.close()
        async with self._changing:
            await self._drop_guess("closed")
            if self._turn is not None:
                await self._turn.abandon()
            if self._turn_task is not None:
                await asyncio.wait([self._turn_task])
            self._uncarry()

    @contextmanager
    def _counted_as_asking(self) -> Iterator[None]:
        """Keeps the session from counting as idle while a question waits for its turn."""
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
            self._on_idle()

    @contextmanager
    def _remembered_if_left(
        self, question: str, *, when: bool, goes_on: bool = False
    ) -> Iterator[None]:
        """Records a question whose client leaves before its answer has started.

        It is not recorded unless `when`; if it `goes_on`, it continues one that was cut off.
        """
        try:
            yield
        except asyncio.CancelledError:
            if when:
                if goes_on:
                    question, self._carried = self._whole(question), ""
                self._uncarry()
                self._maker.record_unanswered(question)
            raise

    async def _begin(self, text: str, *, asked_at: float, spoken: bool) -> bool:
        """Starts an answer; returns False if the session was closed meanwhile."""
        await self._outbox.until_room()
        if self._closed:
            return False
        self._prefill.stop()
        turn = self._maker.make(text, epoch=self._epoch, asked_at=asked_at, spoken=spoken)
        turn.start()
        self._take(turn)
        self._maker.report_quality(turn)
        return True

    def _take(self, turn: Turn) -> None:
        self._turn = turn
        self._turn_task = turn.work
        turn.work.add_done_callback(self._ended)

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._own_voice.ended()
        self._on_idle()

    async def _interrupt(self, *, cause_at: float) -> None:
        self._settle_hold()
        if self._turn is not None and not self._turn.over:
            self._epoch += 1
            await self._turn.interrupt(self._epoch, cause_at=cause_at)
            self._on_idle()

    async def _drop_guess(self, why: str) -> None:
        if (guess := self._guess) is not None:
            # Kept until it is discarded: if this is cancelled, `close` discards it.
            await guess.discard()
            self._guess = None
            metrics.SPECULATIONS.labels(why).inc()

    def _comes_too_late(self, ended_at: float) -> bool:
        """Returns whether a question that ended at this time is refused."""
        return self._going_away_at is not None and ended_at >= self._going_away_at

    def _refuse(self) -> None:
        notice = notices.going_away(self._opening.listen_language)
        self._outbox.post(pb.ConverseResponse(notice=notice))

    async def _move(self, move: Move | None) -> None:
        """Carries out a decision about the answer during which somebody speaks."""
        turn = self._turn
        if move is None or turn is None or turn.over:
            return
        metrics.HOLDS.labels(move.name.lower()).inc()
        self._settle_hold()
        if move is Move.RESUME:
            turn.resume()
            return
        asked = self._asked
        cut_off = (
            turn.spoken
            and asked is not None
            and self._barged_at - asked.ended_at < _SAME_QUESTION_S
        )
        if cut_off and self._end_of_turn is not None:
            self._end_of_turn.went_on()
        self._still_asking = turn.turn_id if cut_off and turn.unheard else ""
        await self._interrupt(cause_at=self._barged_at)
        self._prefill.start()

    def _settle_hold(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    async def _decide_late(self) -> None:
        async with self._changing:
            if self._barge_in is not None:
                await self._move(self._barge_in.expired())

    def _whole(self, text: str) -> str:
        return f"{self._carried} {text}" if self._carried else text

    def _keep(self, outcome: TurnOutcome) -> None:
        if outcome.turn_id == self._still_asking:
            # The person was still asking; the question continues in the next utterance.
            self._carried = outcome.question
        else:
            self._maker.record(outcome)

    def _uncarry(self) -> None:
        if self._carried:
            self._maker.record_unanswered(self._carried)
        self._carried = ""
