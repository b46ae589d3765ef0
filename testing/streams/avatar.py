"""Pictures of nobody, and their upload to an avatar service."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import grpc

from anima.avatar import v1 as avatar

PIECE_BYTES = 1 << 20


def png(width_px: int, height_px: int, *, file_bytes: int = 0) -> bytes:
    """Returns a grey picture as a PNG file.

    Args:
        width_px: Its width.
        height_px: Its height.
        file_bytes: The least size of the file: zeros follow the end of the picture.
    """
    size = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes((1 + 3 * width_px) * height_px), 9)
    picture = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", size), (b"IDAT", pixels), (b"IEND", b"")):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        picture += struct.pack(">I", len(data)) + kind + data + checksum
    return picture + bytes(max(0, file_bytes - len(picture)))


async def upload(channel: grpc.aio.Channel, name: str, photo: bytes) -> None:
    """Uploads a photo and reads all answers.

    Raises:
        grpc.aio.AioRpcError: It was refused.
    """
    stub: Any = avatar.AvatarServiceStub(channel)
    call = stub.CreateAvatar()
    config = avatar.CreateAvatarConfig(name=name, consent="A picture of nobody.", replace=True)
    await call.write(avatar.CreateAvatarRequest(config=config))
    await call.read()
    for first in range(0, len(photo), PIECE_BYTES):
        piece = photo[first : first + PIECE_BYTES]
        await call.write(avatar.CreateAvatarRequest(photo=piece))
    await call.write(avatar.CreateAvatarRequest(end_of_photo=avatar.EndOfPhoto()))
    await call.done_writing()
    while await call.read() is not grpc.aio.EOF:
        pass
