"""The gRPC service of the avatar stage: maps messages to engine calls and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias

import cv2
import grpc
from opentelemetry import trace

from anima.avatar.v1 import (
    Avatar,
    AvatarServiceServicer,
    CreateAvatarRequest,
    CreateAvatarResponse,
    DeleteAvatarRequest,
    DeleteAvatarResponse,
    DescribeEngineRequest,
    DescribeEngineResponse,
    GetIdleLoopRequest,
    GetIdleLoopResponse,
    ListAvatarsRequest,
    ListAvatarsResponse,
    RenderConfig,
    RenderRequest,
    RenderResponse,
    Started,
    add_AvatarServiceServicer_to_server,
)
from anima.avatar.v1 import AvatarKind as WireKind
from anima.common.v1 import VideoCodec, VideoFormat, VideoFrame
from services.avatar.animation.idle_loops import IdleLoops
from services.avatar.creation import MAX_CREATIONS, AvatarCreation
from services.avatar.engine import (
    AvatarEngine,
    AvatarInfo,
    AvatarKind,
    AvatarMaker,
    VideoSpec,
)
from services.avatar.metrics import FRAMES, REAL_TIME_FACTOR
from services.avatar.requests import (
    check_config,
    check_owner,
    choose_activity,
    choose_avatar,
    choose_video,
)
from services.avatar.session import RenderSession
from services.avatar.settings import AvatarSettings
from services.avatar.turn import Turn
from services.avatar.video.ai_mark import open_encoder
from services.avatar.video.clock import FrameClock
from services.runtime.calls.streams import open_stream
from services.runtime.engine import watch_of
from services.runtime.engines import load_engine
from services.runtime.errors import FailedPrecondition, NotFound
from services.runtime.limits.progress import MAX_CALL_S, StreamLimits
from services.runtime.process.compute import Compute
from services.runtime.server import Stage

SERVICE = "anima.avatar.v1.AvatarService"
IDLE_CLOCK_HZ = 48_000
_IDLE_FRAMES_PER_MESSAGE = 10

_KINDS = {
    AvatarKind.UNKNOWN: WireKind.AVATAR_KIND_UNSPECIFIED,
    AvatarKind.ILLUSTRATION: WireKind.AVATAR_KIND_ILLUSTRATION,
    AvatarKind.PHOTO: WireKind.AVATAR_KIND_PHOTO,
}

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class AvatarServicer(AvatarServiceServicer):
    """Serves one engine.

    The threads that encode the frames of turns do nothing else; idle loops have a separate thread.
    """

    def __init__(self, engine: AvatarEngine, settings: AvatarSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._coding = Compute(threads=settings.compute_threads, name="avatar-code")
        self._loop_coding = Compute(threads=1, name="avatar-loop-code")
        self._loops = IdleLoops(engine, self._loop_coding, preset=settings.encoder_preset)
        self._creation = (
            AvatarCreation(
                engine, describe, avatars=engine.avatars, per_user=settings.avatars_per_user
            )
            if isinstance(engine, AvatarMaker)
            else None
        )
        self._name = ""

    async def warm_up(self) -> None:
        """Opens the engine and encodes the idle loop of the default avatar in its native format.

        The loops of the others are encoded on first request.
        """
        await self._engine.open()
        self._name = self._engine.describe().name
        for avatar in (await self._engine.avatars())[:1]:
            await self._loops.get(avatar, avatar.video)

    async def close(self) -> None:
        """Closes the engine."""
        await self._loops.close()
        await self._engine.close()
        self._coding.close()
        self._loop_coding.close()

    async def Render(  # noqa: N802
        self, request_iterator: AsyncIterator[RenderRequest], context: _Context
    ) -> AsyncIterator[RenderResponse]:
        """See the contract."""
        config: RenderConfig
        config, requests = await open_stream(request_iterator)
        check_config(config)
        avatar = choose_avatar("config.avatar", config.avatar, await self._engine.avatars())
        video = choose_video("config.video", config.video, avatar.video)
        turn = await self._open(config, avatar.name, video)
        yield RenderResponse(started=Started(avatar=avatar.name, video=_format(video)))
        try:
            session = RenderSession(config, turn, requests)
            async with aclosing(session.responses()) as responses:
                async for response in responses:
                    yield response
        finally:
            self._report(turn)

    async def GetIdleLoop(  # noqa: N802
        self, request: GetIdleLoopRequest, context: _Context
    ) -> AsyncIterator[GetIdleLoopResponse]:
        """See the contract."""
        avatar = choose_avatar("avatar", request.avatar, await self._engine.avatars())
        video = choose_video("video", request.video, avatar.video)
        activity = choose_activity("activity", request.activity)
        frames = await self._loops.get(avatar, video, activity=activity, ai_mark=request.ai_mark)
        clock = FrameClock(sample_rate_hz=IDLE_CLOCK_HZ, frame_rate_hz=video.frame_rate_hz)
        for first in range(0, len(frames), _IDLE_FRAMES_PER_MESSAGE):
            part = enumerate(frames[first : first + _IDLE_FRAMES_PER_MESSAGE], first)
            yield GetIdleLoopResponse(
                video=_format(video),
                frames=[
                    VideoFrame(
                        start_sample=clock.sample_of(index),
                        frame_number=index + 1,
                        key_frame=frame.key_frame,
                        data=frame.data,
                    )
                    for index, frame in part
                ],
            )

    async def ListAvatars(  # noqa: N802
        self, request: ListAvatarsRequest, context: _Context
    ) -> ListAvatarsResponse:
        """See the contract."""
        user_id = request.user_id
        return ListAvatarsResponse(
            avatars=[
                describe(each) if user_id in ("", each.owner) else without_consent(describe(each))
                for each in await self._engine.avatars()
                if not (user_id and each.owner) or each.owner == user_id
            ]
        )

    async def CreateAvatar(  # noqa: N802
        self, request_iterator: AsyncIterator[CreateAvatarRequest], context: _Context
    ) -> AsyncIterator[CreateAvatarResponse]:
        """See the contract."""
        if self._creation is None:
            raise self._cannot_make()
        async with aclosing(self._creation.create(request_iterator)) as responses:
            async for response in responses:
                yield response

    async def DeleteAvatar(  # noqa: N802
        self, request: DeleteAvatarRequest, context: _Context
    ) -> DeleteAvatarResponse:
        """See the contract."""
        if not isinstance(self._engine, AvatarMaker):
            raise self._cannot_make()
        if request.user_id:
            owners = {each.name: each.owner for each in await self._engine.avatars()}
            # A damaged one is not listed, and its owner is not known.
            if request.name not in owners:
                raise NotFound(f"name: there is no avatar {request.name[:64]!r}")
            check_owner(request.user_id, owners[request.name])
        await self._engine.delete_avatar(request.name)
        return DeleteAvatarResponse()

    async def DescribeEngine(  # noqa: N802
        self, request: DescribeEngineRequest, context: _Context
    ) -> DescribeEngineResponse:
        """See the contract."""
        return DescribeEngineResponse(
            engine=self._engine.describe().message(capacity=self._settings.capacity)
        )

    async def _open(self, config: RenderConfig, avatar: str, video: VideoSpec) -> Turn:
        activity = choose_activity("config.activity", config.activity)
        encoder = await self._coding.run(
            open_encoder, video, preset=self._settings.encoder_preset, ai_mark=config.ai_mark
        )
        face = await self._engine.open_stream(
            avatar=avatar,
            video=video,
            sample_rate_hz=config.sample_rate_hz,
            turn_id=config.turn_id,
            idle_frame=config.idle_frame,
            activity=activity,
        )
        clock = FrameClock(sample_rate_hz=config.sample_rate_hz, frame_rate_hz=video.frame_rate_hz)
        return Turn(face, encoder, clock, self._coding)

    def _cannot_make(self) -> FailedPrecondition:
        return FailedPrecondition(
            f"the engine {self._name} cannot make avatars of photos", reason="NOT_SUPPORTED"
        )

    def _report(self, turn: Turn) -> None:
        FRAMES.labels(self._name).inc(turn.frame_count)
        if turn.frame_count:
            REAL_TIME_FACTOR.labels(self._name).observe(turn.real_time_factor)
        span = trace.get_current_span()
        span.set_attribute("anima.avatar.frames", turn.frame_count)
        span.set_attribute("anima.avatar.real_time_factor", turn.real_time_factor)


def build(settings: AvatarSettings, engine: AvatarEngine | None = None) -> Stage:
    """Builds the stage.

    Args:
        settings: The settings of the service.
        engine: The engine; None means the one that the settings name.

    Raises:
        SettingsError: The engine is unknown or rejects its settings.
    """
    # A stream uses one thread at a time; OpenCV's own threads would take cores from other streams.
    cv2.setNumThreads(1)
    if engine is None:
        engine = load_engine(settings.stage, settings.engine, settings)
    servicer = AvatarServicer(engine, settings)
    return Stage(
        service=SERVICE,
        add_to_server=lambda server: add_AvatarServiceServicer_to_server(servicer, server),
        warm_up=servicer.warm_up,
        counted_methods=frozenset({"Render"}),
        limits={
            "Render": StreamLimits(
                silence_s=settings.stall_timeout_s,
                unread_s=settings.stall_timeout_s,
                last="end_of_audio",
                total_s=MAX_CALL_S,
            ),
            "GetIdleLoop": StreamLimits(unread_s=30.0, total_s=600.0, at_once=8),
            "CreateAvatar": StreamLimits(
                silence_s=10.0,
                least_bytes_per_s=32 * 1024,
                upload_s=300.0,
                unread_s=30.0,
                last="end_of_photo",
                total_s=900.0,
                at_once=MAX_CREATIONS,
            ),
        },
        close=servicer.close,
        watch=watch_of(engine),
    )


def describe(avatar: AvatarInfo) -> Avatar:
    """Converts an avatar to its message."""
    described = Avatar(
        name=avatar.name,
        display_name=avatar.display_name,
        video=_format(avatar.video),
        licence=avatar.licence,
        kind=_KINDS[avatar.kind],
        consent=avatar.consent,
        deletable=avatar.created is not None,
        version=avatar.version,
        user_id=avatar.owner,
    )
    if avatar.created is not None:
        described.created.FromDatetime(avatar.created)
    return described


def without_consent(avatar: Avatar) -> Avatar:
    """Returns the message for somebody who does not own the avatar."""
    avatar.ClearField("consent")
    return avatar


def _format(video: VideoSpec) -> VideoFormat:
    return VideoFormat(
        codec=VideoCodec.VIDEO_CODEC_H264,
        width_px=video.width_px,
        height_px=video.height_px,
        frame_rate_hz=video.frame_rate_hz,
    )
