"""The gateway's connections to the stages: a channel to each, and the parts that track them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

import grpc

from anima.asr.v1 import asr_pb2_grpc
from anima.avatar.v1 import avatar_pb2_grpc
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2_grpc
from anima.memory.v1 import memory_pb2, memory_pb2_grpc
from anima.tts.v1 import tts_pb2_grpc
from gateway import metrics
from gateway.listening.end_of_turn.rule import EndOfTurnRule, Words, load_rule
from gateway.pictures.reader import PictureReader
from gateway.remember_queue.memory_clock import MemoryClock
from gateway.remember_queue.queue import RememberQueue
from gateway.settings import GatewaySettings
from gateway.stages.catalogue import CatalogueReader
from gateway.stages.drain import Drain
from gateway.stages.overload import Overload
from gateway.stages.route import REPLICA_KEY
from gateway.stages.spec import STAGES, StageSpec
from gateway.stages.states import StageStates
from services.runtime.calls.admission import Admission
from services.runtime.calls.channels import open_channel
from services.runtime.config.settings import SettingsError
from services.runtime.errors import AnimaError, DeadlineExceeded
from services.runtime.identity.call_tokens import CallToken, call_token
from services.runtime.identity.caller import Mode, caller
from services.runtime.identity.verifier import verifier_of
from services.runtime.limits.rates import Rate, requests_a_minute
from services.runtime.process.clock import loop_time_s
from services.runtime.process.compute import Compute
from services.runtime.process.tasks import Tasks

_BACKGROUND_TIMEOUT_S: Final = 5.0
_CLOCK_TIMEOUT_S: Final = 5.0


class Mesh:
    """Channels to all stages; an async context manager.

    `async with Mesh(settings) as mesh:` opens the channels; it does not wait for any stage to be
    up.

    Attributes:
        settings: The settings of the gateway.
        places: The places for conversations, shared by all edges.
        questions: How many questions each caller has typed.
        speech: How many seconds each caller has spoken and heard.
        drain: Whether the gateway is going away.
        overload: Which stages are full.
        states: The states of the stages.
        catalogue: The personas, voices and avatars that a session can choose from.
        background: Tasks that outlive their session; closing the mesh waits up to 5 s for them.
        end_of_turn: The rule that decides when a person has finished speaking.
        echo: The thread that removes the voice of the face from microphone audio.
        asr: The stub of speech recognition; `llm`, `memory`, `tts` and `avatar` likewise.
        pictures: Makes the pictures of all sessions small.
        verifier: Checks the tokens of callers.
        memory_clock: The memory's clock, by which erasures and turns are ordered.
        remember_queue: The queue of turns that wait for the memory.
        llm_fallback: The stub to retry with when `llm` fails; `tts_fallback` likewise.
    """

    asr: asr_pb2_grpc.AsrServiceAsyncStub
    llm: llm_pb2_grpc.LlmServiceAsyncStub
    llm_fallback: llm_pb2_grpc.LlmServiceAsyncStub
    memory: memory_pb2_grpc.MemoryServiceAsyncStub
    tts: tts_pb2_grpc.TtsServiceAsyncStub
    tts_fallback: tts_pb2_grpc.TtsServiceAsyncStub
    avatar: avatar_pb2_grpc.AvatarServiceAsyncStub

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.places = Admission(settings.capacity, per_caller=settings.capacity_per_caller)
        self.questions = requests_a_minute(settings.requests_per_minute, now=loop_time_s)
        self.speech = Rate(
            60 * settings.speech_minutes_per_hour,
            per_s=3600.0,
            limit="speech",
            text="seconds of speech an hour",
            now=loop_time_s,
        )
        self.drain = Drain()
        self.overload = Overload()
        self.background = Tasks("background")
        self.end_of_turn: EndOfTurnRule = Words(settings)
        self.echo = Compute(threads=1, name="echo")
        self._questions = Tasks("stages")
        self.catalogue = CatalogueReader(self.stub, self._questions)
        self.states = StageStates(self._questions, on_up=self.catalogue.expire)
        self.memory_clock = MemoryClock(self._ask_memory_clock)
        self.remember_queue = RememberQueue(
            lambda request, timeout: self.memory.Remember(request, timeout=timeout),
            clock=self.memory_clock,
            max_turns=settings.remember_queue_turns,
            max_bytes=settings.remember_queue_bytes,
        )
        self.pictures = PictureReader()
        self.verifier = verifier_of(settings)
        self._call_token = _stage_token(settings)
        self._channels = AsyncExitStack()

    async def __aenter__(self) -> Self:
        metrics.count_tasks(asyncio.get_running_loop())
        self.end_of_turn = await asyncio.to_thread(load_rule, self.settings)
        for spec in STAGES.values():
            await self._open(spec)
        self.remember_queue.start(self.settings.data_dir / "gateway", self.settings.queue_key())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.remember_queue.close(timeout_s=_BACKGROUND_TIMEOUT_S)
        await self.background.wait(timeout_s=_BACKGROUND_TIMEOUT_S)
        await self.background.close()
        await self._questions.close()
        await self._channels.aclose()
        await self.verifier.close()
        self.end_of_turn.close()
        self.echo.close()
        self.pictures.close()

    def stub(self, stage: str) -> Any:
        """Returns the stub of a stage by its name."""
        return getattr(self, stage)

    def may_help(self, stage: str, error: AnimaError) -> bool:
        """Returns whether a second attempt may succeed after an error.

        Args:
            stage: "llm" or "tts".
            error: The error of the first attempt.
        """
        same = self.stub(f"{stage}_fallback") is self.stub(stage)
        return not (same and isinstance(error, DeadlineExceeded))

    async def describe(self) -> pb.DescribeMeshResponse:
        """Returns the states of the stages, and the personas, voices and avatars for the caller."""
        catalogue = (await self.catalogue.read()).seen_by(caller())
        return pb.DescribeMeshResponse(
            stages=await self.states.statuses(),
            personas=catalogue.personas,
            voices=catalogue.voices,
            avatars=catalogue.avatars,
        )

    async def _open(self, spec: StageSpec) -> None:
        settings = self.settings.stages[spec.name]
        channel = await self._channel(spec, settings.target)
        stub = spec.stub(channel)
        setattr(self, spec.name, stub)
        self.states.watch(spec, stub, channel)
        if spec.has_fallback:
            if settings.fallback_target:
                stub = spec.stub(await self._channel(spec, settings.fallback_target))
            setattr(self, f"{spec.name}_fallback", stub)

    async def _ask_memory_clock(self) -> int:
        described = await self.memory.DescribeEngine(
            memory_pb2.DescribeEngineRequest(), timeout=_CLOCK_TIMEOUT_S
        )
        return described.clock_unix_ns

    async def _channel(self, spec: StageSpec, target: str) -> grpc.aio.Channel:
        settings = self.settings
        channel = open_channel(
            target,
            token=self._call_token,
            health_service=spec.health_service,
            max_message_bytes=settings.max_message_bytes,
            peer_timeout_s=settings.stage_peer_timeout_s,
            replica_key=REPLICA_KEY if spec.keeps_sessions else "",
        )
        return await self._channels.enter_async_context(channel)


def _stage_token(settings: GatewaySettings) -> CallToken:
    if settings.stage_token:
        return lambda: settings.stage_token
    if settings.mode is Mode.IDENTITIES and not settings.signs_calls:
        raise SettingsError(
            "the stages want a token with the role service: set ANIMA_IDENTITY_SIGNING_KEY_FILE, "
            "ANIMA_IDENTITY_SERVICE_TOKEN_FILE or ANIMA_GATEWAY_STAGE_TOKEN"
        )
    return call_token(settings, settings.stage)
