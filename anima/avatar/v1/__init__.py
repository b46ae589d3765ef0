"""Generated from protos/anima/avatar/v1 by scripts/gen_protos.py; do not edit."""

from anima.avatar.v1.avatar_pb2 import (
    Avatar,
    DescribeEngineRequest,
    DescribeEngineResponse,
    EndOfAudio,
    Ended,
    Flush,
    GetIdleLoopRequest,
    GetIdleLoopResponse,
    ListAvatarsRequest,
    ListAvatarsResponse,
    RenderConfig,
    RenderRequest,
    RenderResponse,
    Started,
)
from anima.avatar.v1.avatar_pb2_grpc import (
    AvatarServiceServicer,
    AvatarServiceStub,
    add_AvatarServiceServicer_to_server,
)

__all__ = [
    "Avatar",
    "AvatarServiceServicer",
    "AvatarServiceStub",
    "DescribeEngineRequest",
    "DescribeEngineResponse",
    "EndOfAudio",
    "Ended",
    "Flush",
    "GetIdleLoopRequest",
    "GetIdleLoopResponse",
    "ListAvatarsRequest",
    "ListAvatarsResponse",
    "RenderConfig",
    "RenderRequest",
    "RenderResponse",
    "Started",
    "add_AvatarServiceServicer_to_server",
]
