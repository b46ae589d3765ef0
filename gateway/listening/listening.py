"""Listening: sends microphone audio to one recogniser stream per utterance, without a gap."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from anima.asr.v1 import asr_pb2 as asr
from anima.common.v1 import common_pb2 as common
from gateway import metrics
from gateway.listening.echo.canceller import EchoCanceller
from gateway.listening.end_of_turn.words import EndOfTurn, Pause
from gateway.listening.events import (
    EndGuess,
    LanguageNotHeard,
    OnListeningEvent,
    Partial,
    RecogniserAway,
    Settled,
    SpeechResumed,
    SpeechStarted,
    Utterance,
    UtteranceLost,
)
from gateway.listening.microphone import Microphone
from gateway.stages.failure import StageFailed
from gateway.stages.mesh import Mesh
from gateway.stages.opening import open_stream
from gateway.stages.route import Route
from gateway.stages.stream import StageStream
from gateway.wording.book import DEFAULT
from services.runtime.audio import AudioReceiver
from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import beside

_CHUNK_MS = 100
_BACKLOG_S = 10
_RETRY_AFTER_S = 1.0
# Ends of speech that wait for the recogniser; more are one.
_MAX_ENDS = 16
# A microphone that is on sends audio many times a second.
_MICROPHONE_OFF_S = 1.0
# A recogniser that waits for a microphone this long is given back.
_RELEASE_AFTER_S = 30.0
# After this the recogniser ends the utterance by itself, after the longest pause.
_JUDGE_TIMEOUT_S = 1.0
LANGUAGE_NOT_SUPPORTED = "LANGUAGE_NOT_SUPPORTED"
"""The reason of an error of a recogniser that does not understand the language of a stream."""

RecognizeStream = StageStream[asr.RecognizeRequest, asr.RecognizeResponse]


class Listening:
    """Recognises the microphone audio of a session.

    Args:
        mesh: The stages.
        on_event: Called with each event.
        config: The config of every stream, without turn and epoch.
        end_of_turn: Decides how long a pause ends an utterance; None: the recogniser alone decides.
        route: Where the calls of the session go.
        likely_words: Returns names that are likely to be said; called for every stream.
        echo: Removes the voice of the face from the audio; None: it stays.
    """

    def __init__(
        self,
        mesh: Mesh,
        on_event: OnListeningEvent,
        config: asr.RecognizeConfig,
        *,
        route: Route,
        end_of_turn: EndOfTurn | None = None,
        likely_words: Callable[[], Sequence[str]] = tuple,
        echo: EchoCanceller | None = None,
    ) -> None:
        self._mesh = mesh
        self._echo = echo
        self._on_event = on_event
        self._config = config
        self._route = route
        self._rate_hz = config.sample_rate_hz
        self._receiver = AudioReceiver(sample_rate_hz=self._rate_hz)
        self._microphone = Microphone(sample_rate_hz=self._rate_hz)
        self._next = 0
        self._sent = 0
        self._ends: deque[int] = deque()
        self._heard_since_end = False
        self._away = False
        self._hearing = False
        self._audio_at = float("-inf")
        self._concluding = False
        self._ended = False
        self._count = 0
        self._changed = asyncio.Event()
        self._end_of_turn = end_of_turn
        self._likely_words = likely_words
        self._started_sample = 0
        self._enough: int | None = None
        self._fed = False
        self._heard_language = config.language
        self._stream_language = ""

    @property
    def waiting(self) -> bool:
        """True while an utterance that has ended is still being recognised or passed on."""
        return bool(self._ends) or self._concluding

    @property
    def hearing(self) -> bool:
        """True from the start of speech until it has been recognised, while audio arrives."""
        silent_s = asyncio.get_running_loop().time() - self._audio_at
        return self._hearing and silent_s < _MICROPHONE_OFF_S

    async def audio(self, chunk: common.AudioChunk) -> None:
        """Takes audio; waits while the recogniser is more than 10 s behind.

        Raises:
            InvalidRequest: The rate or size is wrong, or there is a gap.
        """
        if self._receiver.accept(chunk) is None:
            return
        self._microphone.add(await self._echo.clean(chunk.pcm) if self._echo else chunk.pcm)
        self._audio_at = asyncio.get_running_loop().time()
        self._notify()
        most = _BACKLOG_S * self._rate_hz
        while self._microphone.end_sample - self._sent > most and not self._ended:
            await self._changed.wait()

    def end_of_speech(self) -> None:
        """Ends the utterance with the audio received so far."""
        if self._echo is not None:
            self._microphone.add(self._echo.flush())
        end = self._microphone.end_sample
        if self._ends and (self._ends[-1] == end or len(self._ends) >= _MAX_ENDS):
            self._ends.pop()  # pressed again before the recogniser has caught up
        self._ends.append(end)
        self._notify()

    async def run(self) -> None:
        """Recognises until it is cancelled; audio that comes later is dropped."""
        try:
            while True:
                while not self._ends and self._microphone.end_sample <= self._next:
                    await self._changed.wait()
                try:
                    await self._recognise()
                except StageFailed as failure:
                    await self._on_event(UtteranceLost())
                    await self._fail(failure)
                self._hearing = False
                if not self._ends:
                    await self._on_event(Settled())
        finally:
            self._ended = True
            self._notify()

    async def _recognise(self) -> None:
        base = max(self._next, self._microphone.start_sample)
        self._count += 1
        config = asr.RecognizeConfig()
        config.CopyFrom(self._config)
        config.turn_id = f"utterance-{self._count}"
        config.phrase_hints.extend(self._likely_words())
        # A person seldom changes the language, and the first one is that of doubtful cases.
        config.candidate_languages.sort(key=lambda tag: tag != self._heard_language)
        stream: RecognizeStream = await open_stream(
            "asr",
            self._mesh.asr.Recognize,
            asr.RecognizeRequest(config=config),
            route=self._route,
            timeout_ms=self._mesh.settings.stages["asr"].open_ms,
        )
        if stream.started is not None:
            self._stream_language = stream.started.started.language
        self._away = False
        self._enough = None
        self._fed = False
        try:
            async with beside(self._feed(stream, base), name="asr-feed"):
                final = await self._follow(stream, base)
        finally:
            await stream.close()
        self._concluding = True
        try:
            await self._conclude(final, base)
        finally:
            self._concluding = False

    async def _feed(self, stream: RecognizeStream, base: int) -> None:
        self._sent = base
        header = common.ChunkHeader(turn_id=f"utterance-{self._count}")
        while True:
            end = self._ends[0] if self._ends else self._microphone.end_sample
            if self._enough is not None:
                end = min(end, max(self._sent, self._enough))
            step = min(end, self._sent + self._rate_hz * _CHUNK_MS // 1000)
            if step > self._sent:
                header.sequence += 1
                chunk = common.AudioChunk(
                    header=header,
                    start_sample=self._sent - base,
                    sample_rate_hz=self._rate_hz,
                    pcm=self._microphone.read(self._sent, step),
                )
                await stream.send(asr.RecognizeRequest(audio=chunk))
                self._sent = step
                self._notify()
            elif self._is_complete() or not await self._more_audio():
                await stream.send(asr.RecognizeRequest(end_of_speech=asr.EndOfSpeech()))
                self._fed = True
                return

    def _is_complete(self) -> bool:
        return bool(self._ends) or (self._enough is not None and self._sent >= self._enough)

    async def _more_audio(self) -> bool:
        """Waits for a change; returns False if the microphone has been off for long.

        The recogniser then ends the utterance, and its place is free for others.
        """
        try:
            async with asyncio.timeout(_RELEASE_AFTER_S):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _follow(self, stream: RecognizeStream, base: int) -> asr.Transcript | None:
        speaking = False
        final: asr.Transcript | None = None

        async def take(response: asr.RecognizeResponse) -> bool:
            nonlocal speaking, final
            event = response.WhichOneof("event")
            if event == "speech_started":
                speaking = True
                await self._start(base + response.speech_started.at_sample)
            elif event == "end_guess":
                await self._guess(response.end_guess, base)
            elif event == "speech_resumed":
                self._enough = None
                await self._on_event(SpeechResumed())
            elif event == "partial":
                partial = response.partial
                await self._on_event(Partial(text=partial.text, language=partial.language))
            elif event == "final":
                final = response.final
            return final is not None

        await stream.consume(
            take,
            silence_timeout_ms=self._mesh.settings.stages["asr"].silence_ms,
            owes=lambda: self._fed,
            may_end=lambda: self._fed and not speaking,
        )
        return final

    async def _start(self, at_sample: int) -> None:
        self._started_sample = at_sample
        self._hearing = True
        started_at = self._microphone.arrived_at(at_sample)
        await self._on_event(SpeechStarted(at_sample=at_sample, started_at=started_at))

    async def _guess(self, guess: asr.EndGuess, base: int) -> None:
        end = base + guess.at_sample
        event = EndGuess(
            text=guess.transcript.text.strip(),
            speech_s=(end - self._started_sample) / self._rate_hz,
            ended_at=self._microphone.arrived_at(end),
        )
        judged = asyncio.Event()
        async with beside(self._judge(guess.transcript, end, judged), name="end-of-turn"):
            await self._on_event(event)
            await judged.wait()

    async def _judge(self, transcript: asr.Transcript, end: int, judged: asyncio.Event) -> None:
        """Decides how much audio is enough, then sends `end_of_speech` to the recogniser."""
        if self._end_of_turn is not None:
            self._enough = await self._enough_after(self._end_of_turn, transcript, end)
            self._notify()
        judged.set()

    async def _enough_after(
        self, rule: EndOfTurn, transcript: asr.Transcript, end: int
    ) -> int | None:
        """Returns the sample at which to stop after a guess; None: the recogniser decides."""
        last = transcript.words[-1] if transcript.words else common.WordMark()
        pause = Pause(
            text=transcript.text.strip(),
            language=transcript.language or self._stream_language or DEFAULT,
            confidence=transcript.confidence if transcript.HasField("confidence") else None,
            last_confidence=last.confidence if last.HasField("confidence") else None,
            sample_rate_hz=self._rate_hz,
            audio=self._recent,
        )
        try:
            async with asyncio.timeout(_JUDGE_TIMEOUT_S):
                silence_ms = await rule.silence_ms(pause)
        except Exception as error:  # a third-party rule must not end the conversation
            get_logger().error("the end of a turn could not be judged", exc_info=error)
            return None
        return end + silence_ms * self._rate_hz // 1000

    def _recent(self, kept_s: float) -> bytes:
        end = self._microphone.end_sample
        start = max(self._started_sample, end - round(kept_s * self._rate_hz))
        return self._microphone.read(start, end)

    async def _conclude(self, final: asr.Transcript | None, base: int) -> None:
        by_hand = bool(self._ends) and self._sent >= self._ends[0]
        # An engine that does not report the end of the speech has used all of its audio.
        known = final is not None and final.samples.sample_count > 0
        end = base + _end(final.samples) if final is not None and known else self._sent
        self._next = max(end, base + 1)
        if by_hand:
            self._next = max(self._next, self._ends.popleft())
        already_heard = self._heard_since_end
        self._heard_since_end = not by_hand and (already_heard or final is not None)
        if final is not None:
            ended_at = self._microphone.arrived_at(end if known else self._sent)
            words = tuple(_moved(word, base) for word in final.words)
            started_at = self._microphone.arrived_at(base + final.samples.start_sample)
            self._heard_language = final.language or self._heard_language
            await self._on_event(
                Utterance(
                    text=final.text.strip(),
                    language=final.language,
                    words=words,
                    started_at=started_at,
                    ended_at=ended_at,
                )
            )
        elif by_hand and not already_heard:
            # The button was pressed and released without any speech in between.
            ended_at = asyncio.get_running_loop().time()
            await self._on_event(Utterance(text="", started_at=ended_at, ended_at=ended_at))
        else:
            await self._on_event(UtteranceLost())

    async def _fail(self, failure: StageFailed) -> None:
        get_logger().warning("recognition failed", problem=str(failure.error))
        metrics.STAGE_FAILURES.labels("asr").inc()
        if not self._away or self._ends:
            await self._on_event(_reason(failure))
        self._away = True
        self._hearing = False
        self._ends.clear()
        self._next = self._sent = self._microphone.end_sample
        self._notify()
        await self._on_event(Settled())
        await asyncio.sleep(_RETRY_AFTER_S)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _reason(failure: StageFailed) -> RecogniserAway | LanguageNotHeard:
    if failure.error.reason != LANGUAGE_NOT_SUPPORTED:
        return RecogniserAway()
    about = failure.error.metadata
    return LanguageNotHeard(
        language=about.get("language", ""),
        known=tuple(filter(None, about.get("known", "").split(", "))),
        remedy=about.get("remedy", ""),
    )


def _end(span: common.SampleSpan) -> int:
    return span.start_sample + span.sample_count


def _moved(word: common.WordMark, samples: int) -> common.WordMark:
    moved = common.WordMark()
    moved.CopyFrom(word)
    moved.samples.start_sample += samples
    return moved
