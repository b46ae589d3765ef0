"""How many avatars a user may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc

from anima.avatar.v1 import (
    AvatarServiceStub,
    CreateAvatarConfig,
    CreateAvatarRequest,
    DeleteAvatarRequest,
    EndOfPhoto,
)
from services.avatar.servicer import build
from services.avatar.settings import AvatarSettings
from services.runtime.calls.channels import open_channel
from services.runtime.config.settings import ServiceSettings
from services.runtime.errors import error_from_rpc
from services.runtime.models.store import ModelStore
from services.runtime.server import serving
from tests.requirements import need


async def made(stub: Any, photo: bytes, name: str, user_id: str = "", **more: Any) -> str:
    """Makes an avatar; returns the reason why there is none, or nothing."""
    config = CreateAvatarConfig(
        name=name, consent="A portrait by NASA, in the public domain.", user_id=user_id, **more
    )
    call = stub.CreateAvatar()
    try:
        await call.write(CreateAvatarRequest(config=config))
        await call.read()
        await call.write(CreateAvatarRequest(photo=photo))
        await call.write(CreateAvatarRequest(end_of_photo=EndOfPhoto()))
        while await call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return error_from_rpc(error).reason
    return ""


async def test_a_user_has_a_number_of_avatars(tmp_path: Path) -> None:
    need("face-mesh")
    need("astronaut")
    models = ServiceSettings.from_environment().data_dir / "models"
    (tmp_path / "models").symlink_to(models)
    photo = (ModelStore(models).path("astronaut") / "astronaut.png").read_bytes()
    settings = AvatarSettings(listen="127.0.0.1:0", data_dir=tmp_path, avatars_per_user=1)
    async with serving(build(settings), settings) as server:
        await server.ready
        async with open_channel(server.address) as channel:
            stub: Any = AvatarServiceStub(channel)
            assert await made(stub, photo, "one") == ""
            assert await made(stub, photo, "two") == "TOO_MANY_AVATARS"
            assert await made(stub, photo, "one", replace=True) == ""
            assert await made(stub, photo, "adas", "ada") == ""
            await stub.DeleteAvatar(DeleteAvatarRequest(name="one"))
            assert await made(stub, photo, "two") == ""
