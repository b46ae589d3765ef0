"""A photo that breaks its decoder: the service answers, and its processes are as before."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import grpc
import psutil
import pytest

from anima.avatar.v1 import (
    AvatarServiceStub,
    CreateAvatarConfig,
    CreateAvatarRequest,
    EndOfPhoto,
    ListAvatarsRequest,
)
from services.avatar.engines.painted import PaintedEngine
from services.avatar.photo.picture import PhotoReader
from services.avatar.servicer import build
from services.avatar.settings import AvatarSettings
from services.runtime.errors import AnimaError, error_from_rpc
from services.runtime.models.store import ModelStore
from services.runtime.server import serving

if TYPE_CHECKING:
    from anima.avatar.v1.avatar_pb2_grpc import AvatarServiceAsyncStub


async def refused(stub: AvatarServiceAsyncStub, **command: Any) -> AnimaError:
    config = CreateAvatarConfig(name="evil", consent="A file that is no photo.")

    async def requests() -> AsyncIterator[CreateAvatarRequest]:
        yield CreateAvatarRequest(config=config)
        yield CreateAvatarRequest(photo=json.dumps(command).encode())
        yield CreateAvatarRequest(end_of_photo=EndOfPhoto())

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for _ in stub.CreateAvatar(requests()):
            pass
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    return error_from_rpc(raised.value)


async def test_the_service_outlives_what_breaks_a_decoder(
    store: ModelStore, tmp_path: Path
) -> None:
    (tmp_path / "models").symlink_to(store.path("face-mesh").parent, target_is_directory=True)
    settings = AvatarSettings(listen="127.0.0.1:0", data_dir=tmp_path)
    before = set(psutil.Process().children(recursive=True))
    engine = PaintedEngine(settings, PhotoReader("testing.hostile.job"))
    async with (
        serving(build(settings, engine), settings) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        await server.ready
        stub = cast("AvatarServiceAsyncStub", AvatarServiceStub(channel))
        for act, why in [
            ("segfault", "the photo is damaged"),
            ("allocate", "takes too much memory"),
            ("fork", "the photo is damaged"),
            ("datagram", "the photo is damaged"),
            ("close", "the photo is damaged"),
        ]:
            error = await refused(stub, act=act, port=9)
            assert (error.reason, why in error.message) == ("NOT_AN_IMAGE", True), error
            assert (await stub.ListAvatars(ListAvatarsRequest())).avatars
            started = set(psutil.Process().children(recursive=True)) - before
            assert len(started) == 1  # the fork server
    assert not set(psutil.Process().children(recursive=True)) - before
