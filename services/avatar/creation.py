"""One CreateAvatar stream: receives a photo in pieces, checks it and makes an avatar of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing

import cv2
import numpy as np

from anima.avatar.v1 import (
    Avatar,
    CreateAvatarConfig,
    CreateAvatarRequest,
    CreateAvatarResponse,
    CreationDone,
    CreationProgress,
)
from anima.avatar.v1 import CreationWarning as WarningMessage
from services.avatar.engine import (
    AvatarInfo,
    AvatarMaker,
    BgrImage,
    Creation,
    CreationOrder,
    CreationStep,
    ImageFile,
    VideoSpec,
)
from services.avatar.requests import choose_video
from services.runtime.calls.streams import open_stream
from services.runtime.errors import Busy, InvalidRequest
from services.runtime.limits.pace import Pace
from services.runtime.limits.rates import REFUSED
from services.runtime.validation import check_name, cleaned_line, cleaned_text

MAX_PIECE_BYTES = 1 << 20
MAX_PHOTO_BYTES = 32 << 20
MAX_CREATIONS = 2
"""The most calls at a time: one avatar is made while the photo of another may arrive. Each holds
its place until its avatar is made, so at most so many photos are in memory."""
MAX_USER_ID_CHARS = 128
_BYTES_PER_S = 16 << 20
"""How fast photos are received in all, after the first one: otherwise uploads that follow each
other take the processor from the faces that speak."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LICENCE = re.compile(r"[A-Za-z0-9.+() -]{0,200}")
_MIN_CONSENT_CHARS = 10
_PREVIEW_SIDE_PX = 512
_OWN = VideoSpec(width_px=64, height_px=64, frame_rate_hz=25)


class AvatarCreation:
    """Makes avatars one at a time."""

    def __init__(
        self,
        maker: AvatarMaker,
        describe: Callable[[AvatarInfo], Avatar],
        *,
        avatars: Callable[[], Awaitable[Sequence[AvatarInfo]]],
        per_user: int,
    ) -> None:
        self._maker = maker
        self._avatars = avatars
        self._describe = describe
        self._per_user = per_user
        self._making = asyncio.Lock()
        self._pace = Pace(per_second=_BYTES_PER_S, burst=MAX_PHOTO_BYTES)

    async def create(
        self, requests: AsyncIterator[CreateAvatarRequest]
    ) -> AsyncGenerator[CreateAvatarResponse, None]:
        """Yields the responses of one stream.

        Raises:
            InvalidRequest: A message is invalid, or no avatar can be made of the photo.
            FailedPrecondition: The name is taken, or a model is missing.
            Busy: The user has as many avatars as are allowed.
            PermissionDenied: The avatar to replace belongs to another user.
        """
        config: CreateAvatarConfig
        config, pieces = await open_stream(requests)
        order = check_order(config)
        await self._check_count(order)
        # A client that waits for this answer before it sends the photo gets any refusal in full.
        yield _progress("receiving the photo", 0)
        photo = await _receive(pieces, self._pace)
        yield _progress("checking the photo", 1)
        async with self._making, aclosing(self._maker.create_avatar(photo, order)) as steps:
            async for step in steps:
                if isinstance(step, CreationStep):
                    yield _progress(step.step, step.percent)
                    continue
                for answer in await asyncio.to_thread(self._answers, step):
                    yield answer

    async def _check_count(self, order: CreationOrder) -> None:
        made = [each for each in await self._avatars() if each.created is not None]
        own = [each.name for each in made if each.owner == order.owner and each.name != order.name]
        if self._per_user and len(own) >= self._per_user:
            REFUSED.labels("avatars").inc()
            raise Busy(
                f"there are {len(own)} avatars, at most {self._per_user} are allowed; delete one"
                " first",
                retry_after_ms=None,
                reason="TOO_MANY_AVATARS",
            )

    def _answers(self, creation: Creation) -> list[CreateAvatarResponse]:
        answers = [
            CreateAvatarResponse(
                warning=WarningMessage(reason=warning.reason, message=warning.message)
            )
            for warning in creation.warnings
        ]
        done = CreationDone(
            avatar=self._describe(creation.avatar), preview_jpeg=_jpeg(creation.preview)
        )
        return [*answers, CreateAvatarResponse(done=done)]


def _progress(step: str, percent: int) -> CreateAvatarResponse:
    return CreateAvatarResponse(progress=CreationProgress(step=step, percent=percent))


async def _receive(pieces: AsyncIterator[CreateAvatarRequest], pace: Pace) -> ImageFile:
    photo = bytearray()
    async for request in pieces:
        if request.WhichOneof("message") == "end_of_photo":
            return photo
        if not 0 < len(request.photo) <= MAX_PIECE_BYTES:
            raise InvalidRequest(
                f"photo: a piece must have 1 to {MAX_PIECE_BYTES} bytes, got {len(request.photo)}"
            )
        photo += request.photo
        if len(photo) > MAX_PHOTO_BYTES:
            raise InvalidRequest(
                f"photo: must be at most {MAX_PHOTO_BYTES >> 20} MiB; send a smaller file",
                reason="IMAGE_TOO_LARGE",
            )
        await pace.use(len(request.photo))
    # A cancel looks like this end too.
    raise InvalidRequest("end_of_photo: the stream ended without it")


def check_order(config: CreateAvatarConfig) -> CreationOrder:
    """Returns the validated order.

    Raises:
        InvalidRequest: A field is missing or invalid.
    """
    if not _NAME.fullmatch(config.name):
        raise InvalidRequest(
            f"config.name: must be 1 to 64 lower-case letters, digits, '-' and '_', beginning with "
            f"a letter or digit, got {config.name[:64]!r}"
        )
    display_name = cleaned_line("config.display_name", config.display_name, 100, min_chars=0)
    consent = cleaned_text("config.consent", config.consent, 2000, min_chars=0).strip()
    if len(consent) < _MIN_CONSENT_CHARS:
        raise InvalidRequest(
            "config.consent: state in one sentence why the picture of this person may be used",
            reason="CONSENT_MISSING",
        )
    if not _LICENCE.fullmatch(config.licence):
        raise InvalidRequest("config.licence: must be an SPDX expression such as CC-BY-4.0")
    check_name("config.user_id", config.user_id, MAX_USER_ID_CHARS, min_chars=0)
    choose_video("config.video", config.video, _OWN)
    return CreationOrder(
        name=config.name,
        display_name=display_name,
        consent=consent,
        licence=config.licence.strip(),
        width_px=config.video.width_px,
        height_px=config.video.height_px,
        frame_rate_hz=config.video.frame_rate_hz,
        replace=config.replace,
        owner=config.user_id,
    )


def _jpeg(picture: BgrImage) -> bytes:
    height, width = picture.shape[:2]
    zoom = min(1.0, _PREVIEW_SIDE_PX / max(height, width))
    if zoom < 1:
        size = (round(width * zoom), round(height * zoom))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not done:
        raise RuntimeError("the preview could not be encoded as JPEG")
    return coded.tobytes()
