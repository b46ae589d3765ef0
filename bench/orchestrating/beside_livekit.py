"""livekit-agents on our workload: an agent session with a scripted model, voice and audio output.

`python -m bench.orchestrating.beside_livekit REPEATS COUNT...` in `.cache/bench-env`. The output
accepts audio as it comes and reports it as played at once, so that nothing is paced.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import livekit.rtc as rtc
from livekit.agents import Agent, AgentSession, llm, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities

from bench.orchestrating.workload import FIRST_AUDIO_S, RATE_HZ, Heard, chunk_bytes, report, written


class ScriptedModel(llm.LLM):
    """Writes the answer to every question."""

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        return _Writing(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Writing(llm.LLMStream):
    async def _run(self) -> None:
        async for token in written():
            delta = llm.ChoiceDelta(role="assistant", content=token)
            self._event_ch.send_nowait(llm.ChatChunk(id="scripted", delta=delta))


class ScriptedVoice(tts.TTS):
    """Speaks every sentence; the session splits the text into sentences, as for most voices."""

    def __init__(self) -> None:
        capabilities = tts.TTSCapabilities(streaming=False)
        super().__init__(capabilities=capabilities, sample_rate=RATE_HZ, num_channels=1)

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _Speaking(tts=self, input_text=text, conn_options=conn_options)


class _Speaking(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id="scripted", sample_rate=RATE_HZ, num_channels=1, mime_type="audio/pcm"
        )
        await asyncio.sleep(FIRST_AUDIO_S)
        for size in chunk_bytes():
            output_emitter.push(bytes(size))
        output_emitter.flush()


class Sink(AudioOutput):
    """Takes the audio."""

    def __init__(self, heard: Heard) -> None:
        super().__init__(label="sink", capabilities=AudioOutputCapabilities(pause=False))
        self._heard = heard
        self._taken_s = 0.0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self._heard.take(frame.samples_per_channel * 2)
        self._taken_s += frame.duration

    def flush(self) -> None:
        super().flush()
        self._finish(interrupted=False)

    def clear_buffer(self) -> None:
        self._finish(interrupted=True)

    def _finish(self, *, interrupted: bool) -> None:
        taken_s, self._taken_s = self._taken_s, 0.0
        if taken_s:
            self.on_playback_finished(playback_position=taken_s, interrupted=interrupted)


async def session() -> Heard:
    """Runs a conversation of one turn."""
    heard = Heard(asked_at=0.0)
    agent_session: AgentSession[None] = AgentSession(llm=ScriptedModel(), tts=ScriptedVoice())
    agent_session.output.audio = Sink(heard)
    await agent_session.start(Agent(instructions="Tell stories."), record=False)
    heard.asked_at = time.perf_counter()
    await agent_session.generate_reply(user_input="Tell me a story.").wait_for_playout()
    await agent_session.aclose()
    return heard


if __name__ == "__main__":
    logging.getLogger("livekit.agents").setLevel(logging.ERROR)
    asyncio.run(report(session))
