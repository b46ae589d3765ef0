"""A client whose microphone hears what its loudspeaker plays, as a room would return it."""

from __future__ import annotations

import asyncio
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anima.common import v1 as common
from anima.gateway import v1 as gateway
from testing.speech.room import Room, as_pcm
from tests.e2e.conversation import Conversation

RATE_HZ: Final = 16_000
_STEP_S: Final = 0.02


class LoudClient:
    """Plays the answers in real time, and sends what the microphone hears.

    Args:
        conversation: The session.
        played_hz: The rate of the answers.
        room: The way from the loudspeaker to the microphone.
    """

    def __init__(self, conversation: Conversation, *, played_hz: int, room: Room) -> None:
        self._conversation = conversation
        self._played_hz = played_hz
        self._room = room
        self._to_play = np.zeros(0)
        self._to_say = np.zeros(0)
        self._paused = False
        self._sent = 0

    def take(self, event: gateway.ConverseResponse) -> None:
        """Plays, pauses, goes on or drops, as the protocol demands."""
        kind = event.WhichOneof("event")
        if kind == "media":
            pcm = np.frombuffer(event.media.audio.pcm, "<i2").astype(float)
            places = np.arange(0, len(pcm), self._played_hz / RATE_HZ)
            resampled = np.interp(places, np.arange(len(pcm)), pcm)
            self._to_play = np.concatenate([self._to_play, resampled])
        elif kind in ("turn_paused", "turn_resumed"):
            self._paused = kind == "turn_paused"
        elif kind == "turn_interrupted":
            self._to_play, self._paused = np.zeros(0), False

    def say(self, samples: NDArray[np.int16]) -> None:
        """Lets the person speak: samples at 16 kHz."""
        self._to_say = np.concatenate([self._to_say, samples.astype(float)])

    async def run(self) -> None:
        """Plays and records until it is cancelled."""
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        count = round(_STEP_S * RATE_HZ)
        while True:
            await asyncio.sleep(next_s - loop.time())
            next_s += _STEP_S
            played = np.zeros(count)
            if not self._paused:
                now, self._to_play = self._to_play[:count], self._to_play[count:]
                played[: len(now)] = now
            heard = self._room.hear(played)
            said, self._to_say = self._to_say[:count], self._to_say[count:]
            heard[: len(said)] += said
            chunk = common.AudioChunk(
                start_sample=self._sent, sample_rate_hz=RATE_HZ, pcm=as_pcm(heard)
            )
            self._sent += count
            await self._conversation.send(gateway.ConverseRequest(audio=chunk))
