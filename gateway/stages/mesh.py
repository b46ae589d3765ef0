"""The stages as the gateway sees them: channels, who is ready, what a session can choose from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import grpc

from anima.asr.v1 import asr_pb2 as asr
from anima.asr.v1 import asr_pb2_grpc
from anima.avatar.v1 import avatar_pb2 as avatar
from anima.avatar.v1 import avatar_pb2_grpc
from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from anima.llm.v1 import llm_pb2_grpc
from anima.memory.v1 import memory_pb2 as memory
from anima.memory.v1 import memory_pb2_grpc
from anima.tts.v1 import tts_pb2 as tts
from anima.tts.v1 import tts_pb2_grpc
from gateway import metrics
from gateway.listening.end_of_turn.rule import EndOfTurnRule, Words, load_rule
from gateway.settings import GatewaySettings
from services.runtime.admission import Admission
from services.runtime.channels import open_channel
from services.runtime.errors import AnimaError, Busy, DeadlineExceeded, Unavailable, error_from_rpc
from services.runtime.logs import get_logger

T = TypeVar("T")

STAGES = ("asr", "llm", "memory", "tts", "avatar")
_DESCRIBE_TIMEOUT_S = 1.0
_CATALOG_AGE_S = 5.0
_BACKGROUND_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Catalog:
    """What a session can choose from; empty where a stage has never answered."""

    personas: tuple[llm.Persona, ...] = ()
    voices: tuple[tts.Voice, ...] = ()
    avatars: tuple[avatar.Avatar, ...] = ()


@dataclass
class _Listing:
    catalog: Catalog = field(default_factory=Catalog)
    asked_at: float = float("-inf")


class Mesh:
    """Channels to all stages; an async context manager.

    `async with Mesh(settings) as mesh:` opens the channels; nothing waits for a stage to be there.

    Attributes:
        settings: The settings of the gateway.
        places: The places for conversations, over all edges.
        on_going_away: Called, each once, when the gateway begins to drain; open conversations are
            in it.
        asr: The stub of speech recognition; `llm`, `memory`, `tts` and `avatar` likewise.
        end_of_turn: What decides that a person has finished.
        llm_fallback: Where an answer is asked for again when `llm` fails; `tts_fallback` likewise.
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
        self.places = Admission(settings.capacity)
        self.on_going_away: set[Callable[[], None]] = set()
        self._going_away = False
        self.end_of_turn: EndOfTurnRule = Words(settings)
        self._channels = AsyncExitStack()
        self._listing = _Listing()
        self._full_until: dict[str, float] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        metrics.count_tasks(asyncio.get_running_loop())
        self.end_of_turn = await asyncio.to_thread(load_rule, self.settings)
        self.asr = cast(Any, asr_pb2_grpc.AsrServiceStub(await self._open("asr")))
        self.llm = cast(Any, llm_pb2_grpc.LlmServiceStub(await self._open("llm")))
        self.memory = cast(Any, memory_pb2_grpc.MemoryServiceStub(await self._open("memory")))
        self.tts = cast(Any, tts_pb2_grpc.TtsServiceStub(await self._open("tts")))
        self.llm_fallback, self.tts_fallback = self.llm, self.tts
        if target := self.settings.stages["llm"].fallback_target:
            channel = await self._open("llm", target)
            self.llm_fallback = cast(Any, llm_pb2_grpc.LlmServiceStub(channel))
        if target := self.settings.stages["tts"].fallback_target:
            channel = await self._open("tts", target)
            self.tts_fallback = cast(Any, tts_pb2_grpc.TtsServiceStub(channel))
        self.avatar = cast(Any, avatar_pb2_grpc.AvatarServiceStub(await self._open("avatar")))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._background:
            _, late = await asyncio.wait(self._background, timeout=_BACKGROUND_TIMEOUT_S)
            for task in late:
                task.cancel()
        await self._channels.aclose()
        self.end_of_turn.close()

    def go_away(self) -> None:
        """Reports to every open conversation that the gateway is going away; no other is opened."""
        self._going_away = True
        for tell in tuple(self.on_going_away):
            tell()

    def check_going_away(self) -> None:
        """Refuses a conversation once the gateway is going away.

        Raises:
            Unavailable: It is; another gateway, or this one after its restart, takes it.
        """
        if self._going_away:
            raise Unavailable("the gateway is being restarted; try again", reason="GOING_AWAY")

    def stage_is_full(self, stage: str, retry_after_ms: int) -> None:
        """Notes that a stage has refused a stream for want of a place."""
        until = asyncio.get_running_loop().time() + retry_after_ms / 1000
        self._full_until[stage] = max(until, self._full_until.get(stage, until))

    def check_room(self, stages: Iterable[str]) -> None:
        """Refuses who wants to begin while a stage is full: those who talk already go first.

        Raises:
            Busy: With the time after which there may be room.
        """
        now = asyncio.get_running_loop().time()
        for stage in stages:
            left_s = self._full_until.get(stage, now) - now
            if left_s > 0:
                raise Busy(
                    f"{stage} is full; try again in {left_s:.1f} s",
                    retry_after_ms=max(1, round(left_s * 1000)),
                    reason="CAPACITY",
                    metadata={"stage": stage},
                )

    def may_help(self, stage: str, error: AnimaError) -> bool:
        """Tells whether asking for an answer once more may help after an error.

        Args:
            stage: "llm" or "tts".
            error: Why it failed.
        """
        same = getattr(self, f"{stage}_fallback") is getattr(self, stage)
        return not (same and isinstance(error, DeadlineExceeded))

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs work that outlives its session; closing the mesh waits up to 5 s for it."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def catalog(self) -> Catalog:
        """Gives what a session can choose from; of a stage that is away, what it said last."""
        now = asyncio.get_running_loop().time()
        known = self._listing.catalog
        complete = known.personas and known.voices and known.avatars
        if not complete or now - self._listing.asked_at > _CATALOG_AGE_S:
            personas, voices, avatars = await asyncio.gather(
                _answer(self.llm.ListPersonas(llm.ListPersonasRequest(), timeout=1)),
                _answer(self.tts.ListVoices(tts.ListVoicesRequest(), timeout=1)),
                _answer(self.avatar.ListAvatars(avatar.ListAvatarsRequest(), timeout=1)),
            )
            known = Catalog(
                personas=known.personas if personas is None else tuple(personas.personas),
                voices=known.voices if voices is None else tuple(voices.voices),
                avatars=known.avatars if avatars is None else tuple(avatars.avatars),
            )
            self._listing = _Listing(known, now)
        return known

    async def describe(self) -> pb.DescribeMeshResponse:
        """Asks every stage how it is and what it offers; one silent for 1 s is not ready."""
        timeout = _DESCRIBE_TIMEOUT_S
        statuses = await asyncio.gather(
            _status("asr", self.asr.DescribeEngine(asr.DescribeEngineRequest(), timeout=timeout)),
            _status("llm", self.llm.DescribeEngine(llm.DescribeEngineRequest(), timeout=timeout)),
            _status(
                "memory",
                self.memory.DescribeEngine(memory.DescribeEngineRequest(), timeout=timeout),
            ),
            _status("tts", self.tts.DescribeEngine(tts.DescribeEngineRequest(), timeout=timeout)),
            _status(
                "avatar",
                self.avatar.DescribeEngine(avatar.DescribeEngineRequest(), timeout=timeout),
            ),
        )
        catalog = await self.catalog()
        return pb.DescribeMeshResponse(
            stages=statuses,
            personas=catalog.personas,
            voices=catalog.voices,
            avatars=catalog.avatars,
        )

    async def _open(self, stage: str, target: str = "") -> grpc.aio.Channel:
        settings = self.settings
        name = {"asr": "Asr", "llm": "Llm", "memory": "Memory", "tts": "Tts", "avatar": "Avatar"}
        channel = open_channel(
            target or settings.stages[stage].target,
            token=settings.stage_token or settings.token,
            health_service=f"anima.{stage}.v1.{name[stage]}Service",
            max_message_bytes=settings.max_message_bytes,
            peer_timeout_s=settings.stage_peer_timeout_s,
        )
        return await self._channels.enter_async_context(channel)


async def _answer(call: Awaitable[T]) -> T | None:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        get_logger().warning("a stage could not be asked", problem=str(error_from_rpc(error)))
        return None


async def _status(stage: str, call: Awaitable[Any]) -> pb.StageStatus:
    try:
        described = await call
    except grpc.aio.AioRpcError as error:
        return pb.StageStatus(stage=stage, problem=error_from_rpc(error).message)
    engine: common.EngineInfo | None
    if stage == "tts":
        engine = described.engines[0] if described.engines else None
    else:
        engine = described.engine
    return pb.StageStatus(stage=stage, ready=True, engine=engine)
