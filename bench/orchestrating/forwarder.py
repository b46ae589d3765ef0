# ruff: noqa: N802 (the method's name comes from the proto)
"""The least possible code between model, voice and client: passes on every message as it comes.

It has no memory, no session, no pacing, no interruption and no metrics; its CPU time is the cost of
grpc.aio for the workload of `bench.orchestration`. `python -m bench.orchestrating.forwarder`, with
the addresses in ANIMA_FORWARDER_LISTEN, _LLM and _TTS.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

import anima.common.v1 as common
import anima.gateway.v1 as gateway
import anima.llm.v1 as llm
import anima.tts.v1 as tts
from bench.orchestrating.workload import RATE_HZ
from gateway.stages.spec import GATEWAY_SERVICE


class Forwarder(gateway.GatewayServiceServicer):
    """Serves conversations of one question.

    Args:
        models: The stub of the model.
        voices: The stub of the voice.
    """

    def __init__(self, models: Any, voices: Any) -> None:
        self._models = models
        self._voices = voices

    async def Converse(self, requests: Any, context: Any) -> None:  # type: ignore[override]
        await anext(requests)
        started = gateway.SessionStarted(session_id="forwarded")
        await context.write(gateway.ConverseResponse(session_started=started))
        question = (await anext(requests)).text.text
        speech = self._voices.Synthesize()
        await speech.write(
            tts.SynthesizeRequest(
                config=tts.SynthesizeConfig(turn_id="1", epoch=1, sample_rate_hz=RATE_HZ)
            )
        )
        one_at_a_time = asyncio.Lock()
        await asyncio.gather(
            self._write(question, speech, context, one_at_a_time),
            self._speak(speech, context, one_at_a_time),
        )
        await context.write(gateway.ConverseResponse(turn_ended=gateway.TurnEnded()))

    async def _write(self, question: str, speech: Any, context: Any, turns: asyncio.Lock) -> None:
        config = llm.GenerateConfig(turn_id="1", epoch=1, question=question)
        answer = self._models.Generate(iter([llm.GenerateRequest(config=config)]))
        sentence, number = "", 0
        async for response in answer:
            if response.WhichOneof("event") != "delta":
                continue
            text = response.delta.text
            async with turns:
                await context.write(
                    gateway.ConverseResponse(text_delta=gateway.TextDelta(text=text))
                )
            sentence += text
            if text.endswith("."):
                number += 1
                said = tts.TextSegment(segment=number, text=sentence)
                await speech.write(tts.SynthesizeRequest(text=said))
                sentence = ""
        await speech.write(tts.SynthesizeRequest(end_of_text=tts.EndOfText()))
        await speech.done_writing()

    async def _speak(self, speech: Any, context: Any, turns: asyncio.Lock) -> None:
        async for response in speech:
            if response.WhichOneof("event") == "audio":
                media = common.MediaChunk(header=response.audio.header, audio=response.audio)
                async with turns:
                    await context.write(gateway.ConverseResponse(media=media))


async def serve(listen: str, llm_target: str, tts_target: str) -> None:
    """Serves until the process is ended."""
    async with (
        grpc.aio.insecure_channel(llm_target) as models,
        grpc.aio.insecure_channel(tts_target) as voices,
    ):
        server = grpc.aio.server()
        forwarder = Forwarder(  # type: ignore[abstract]  # it only holds conversations
            llm.LlmServiceStub(models), tts.TtsServiceStub(voices)
        )
        gateway.add_GatewayServiceServicer_to_server(forwarder, server)
        health_servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
        server.add_insecure_port(listen)
        await server.start()
        for name in ("", GATEWAY_SERVICE):
            await health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(
        serve(*(os.environ[f"ANIMA_FORWARDER_{name}"] for name in ("LISTEN", "LLM", "TTS")))
    )
