"""A client that talks to a gateway and records the outcome of each question."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import grpc
import numpy as np
from numpy.typing import NDArray

from anima.common import v1 as common
from anima.gateway import v1 as gateway

if TYPE_CHECKING:
    from anima.gateway.v1.gateway_pb2_grpc import GatewayServiceAsyncStub

RATE_HZ: Final = 16_000
_CHUNK_S: Final = 0.02
_PLAYER_HOLDS_S: Final = 0.27
"""The media that a browser buffers before it starts to play."""
_RAN_DRY_S: Final = 0.3
_GONE_S: Final = 120.0


class Fate(enum.StrEnum):
    """The fate of a question."""

    WHOLE = "whole"
    INTERRUPTED = "interrupted"
    TOLD = "told"
    """It was not answered, or not completely, and the person was notified."""
    LOST = "lost"
    """Nothing arrived, or only a part without any notice."""


@dataclass(kw_only=True)
class Outcome:
    """The outcome of one question.

    Attributes:
        fate: Its fate.
        why: The problem, if the question was lost, or the text of the notice.
        av_offsets_s: For each frame, how far from its sound it was shown.
        underruns: The number of times that the player had nothing to play.
        stale: The number of messages of an older answer.
        frames_due: The number of frames that belong to the audio that arrived.
    """

    fate: Fate
    why: str = ""
    av_offsets_s: list[float] = field(default_factory=list)
    underruns: int = 0
    stale: int = 0
    frames_due: int = 0


class _Player:
    """Plays media on a clock that does not wait for late frames, as WebRTC does."""

    def __init__(self) -> None:
        self._start_s: float | None = None
        self.next_sample = 0
        self.gap = False
        self.offsets_s: list[float] = []
        self.underruns = 0
        self.played_s = 0.0

    def take(self, media: common.MediaChunk, now_s: float) -> None:
        audio = media.audio
        self.gap = self.gap or audio.start_sample != self.next_sample
        self.next_sample = audio.start_sample + len(audio.pcm) // 2
        rate_hz = audio.sample_rate_hz
        self.played_s = self.next_sample / rate_hz
        if self._start_s is None:
            self._start_s = now_s + _PLAYER_HOLDS_S
        if now_s - self._start_s - audio.start_sample / rate_hz > _RAN_DRY_S:
            self.underruns += 1
            self._start_s = now_s + _PLAYER_HOLDS_S - audio.start_sample / rate_hz
        for frame in media.frames:
            due_s = self._start_s + frame.start_sample / rate_hz
            misplaced = max(
                audio.start_sample - frame.start_sample, frame.start_sample - self.next_sample, 0
            )
            self.offsets_s.append(max(0.0, now_s - due_s) + misplaced / rate_hz)


class Talker:
    """One conversation."""

    def __init__(self, stub: GatewayServiceAsyncStub, config: gateway.ConverseConfig) -> None:
        self._stub: Any = stub
        self._config = config
        self._paced = config.pacing != gateway.PACING_AS_MADE
        self._writing = asyncio.Lock()
        self._events: asyncio.Queue[gateway.ConverseResponse | None] = asyncio.Queue()
        self._sent_samples = 0
        self._frame_rate_hz = 0
        self._call: Any = None
        self._reading: asyncio.Task[None] | None = None
        self._ended: set[str] = set()
        self._end = "OK"

    async def open(self) -> None:
        """Opens the session."""
        self._call = self._stub.Converse(wait_for_ready=True)
        await self._call.write(gateway.ConverseRequest(config=self._config))
        started = await self._call.read()
        if isinstance(started, gateway.ConverseResponse):
            self._frame_rate_hz = started.session_started.video.frame_rate_hz
        self._reading = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Ends the session."""
        self._call.cancel()
        if self._reading is not None:
            await asyncio.wait([self._reading])

    @property
    def alive(self) -> bool:
        """True while the session is open."""
        return not self._call.done()

    async def ask(self, text: str, *, stop_after_s: float | None = None) -> Outcome:
        """Types a question; stops its answer after a time, if one is given."""
        await self._write(gateway.ConverseRequest(text=gateway.TextInput(text=text)))
        return await self._follow(stop_after_s)

    async def ask_over(self, text: str, *, after_s: float, then: str) -> list[Outcome]:
        """Types a question, and another one during its answer; returns the outcomes of both."""
        await self._write(gateway.ConverseRequest(text=gateway.TextInput(text=text)))
        first = await self._follow(
            after_s, gateway.ConverseRequest(text=gateway.TextInput(text=then))
        )
        return [first, await self._follow(None)]

    async def speak(self, speech: NDArray[np.int16]) -> Outcome:
        """Speaks a question while a button is held."""
        size = round(_CHUNK_S * RATE_HZ)
        for first in range(0, speech.size, size):
            pcm = speech[first : first + size].astype("<i2").tobytes()
            chunk = common.AudioChunk(
                start_sample=self._sent_samples, sample_rate_hz=RATE_HZ, pcm=pcm
            )
            self._sent_samples += len(pcm) // 2
            await self._write(gateway.ConverseRequest(audio=chunk))
            await asyncio.sleep(_CHUNK_S)
        await self._write(gateway.ConverseRequest(end_of_speech=gateway.EndOfSpeech()))
        return await self._follow(None, spoken=True)

    async def _write(self, request: gateway.ConverseRequest) -> None:
        async with self._writing:  # a call allows one write at a time
            await self._call.write(request)

    async def _read(self) -> None:
        try:
            while isinstance(event := await self._call.read(), gateway.ConverseResponse):
                self._events.put_nowait(event)
        except grpc.aio.AioRpcError as error:
            self._end = f"{error.code().name}: {error.details()}"
        except asyncio.CancelledError:
            pass  # the end of the queue reports it
        finally:
            self._events.put_nowait(None)

    async def _follow(
        self,
        stop_after_s: float | None,
        stop: gateway.ConverseRequest | None = None,
        *,
        spoken: bool = False,
    ) -> Outcome:
        loop = asyncio.get_running_loop()
        player, stale, told, turn_id = _Player(), 0, "", ""
        stopping: asyncio.Task[None] | None = None
        request = stop or gateway.ConverseRequest(stop=gateway.Stop())
        try:
            async with asyncio.timeout(_GONE_S):
                while (event := await self._events.get()) is not None:
                    kind = event.WhichOneof("event")
                    if kind == "turn_started":
                        turn_id = event.turn_started.header.turn_id
                        if stop_after_s is not None:
                            stopping = asyncio.create_task(self._later(stop_after_s, request))
                    elif kind == "notice":
                        told = event.notice.text
                        if spoken and not turn_id and event.notice.stage == "asr":
                            return Outcome(fate=Fate.TOLD, why=told)
                    elif kind == "media":
                        if event.media.header.turn_id in self._ended:
                            stale += 1
                        elif self._paced:
                            player.take(event.media, loop.time())
                    elif kind == "turn_ended":
                        self._ended.add(event.turn_ended.header.turn_id)
                        if event.turn_ended.header.turn_id == turn_id:
                            return self._outcome(event.turn_ended, player, stale, told)
            return Outcome(fate=Fate.LOST, why=f"the session has ended, {self._end}")
        except TimeoutError:
            return Outcome(fate=Fate.LOST, why=f"no end within {_GONE_S:.0f} s")
        finally:
            if stopping is not None:
                await stopping

    async def _later(self, after_s: float, request: gateway.ConverseRequest) -> None:
        await asyncio.sleep(after_s)
        await self._write(request)

    def _outcome(self, ended: gateway.TurnEnded, player: _Player, stale: int, told: str) -> Outcome:
        outcome = Outcome(
            fate=Fate.LOST,
            av_offsets_s=player.offsets_s,
            underruns=player.underruns,
            stale=stale,
            frames_due=round(player.played_s * self._frame_rate_hz),
        )
        if ended.reason == common.END_REASON_INTERRUPTED:
            outcome.fate = Fate.INTERRUPTED
        elif ended.reason == common.END_REASON_ERROR and told:
            outcome.fate, outcome.why = Fate.TOLD, told
        elif ended.reason == common.END_REASON_ERROR:
            outcome.why = "it failed without a notice"
        elif not ended.text or ended.heard_text != ended.text:
            outcome.why = f"only {ended.heard_text!r} was heard of {ended.text!r}"
        elif self._paced and (player.gap or player.next_sample != ended.sample_count):
            outcome.why = "media was missing"
        else:
            outcome.fate = Fate.WHOLE
        return outcome
