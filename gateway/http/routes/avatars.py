"""Avatars from photos: `POST /v1/avatars` makes an avatar from a photo, `DELETE` removes it.

The response is a stream of JSON objects, one per line: `progress`, `warning`, and finally `done`
with the avatar and a preview, or `error`.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from anima.avatar.v1 import avatar_pb2 as avatar
from gateway.http.problems import Problem
from gateway.stages.mesh import Mesh
from services.runtime.calls.admission import Admission
from services.runtime.calls.streams import received
from services.runtime.errors import AnimaError, InvalidRequest, error_from_rpc
from services.runtime.identity.caller import caller
from services.runtime.limits.callers import counted_as

MAX_PHOTO_BYTES = 32 * 1024 * 1024
_MAX_FORM_BYTES = MAX_PHOTO_BYTES + 64 * 1024
_MAX_FIELD_BYTES = 16 * 1024
_PIECE_BYTES = 512 * 1024
_MAX_UPLOADS = 2
_CONFIG_ANSWER_S = 0.5
_CREATE_TIMEOUT_S = 120.0
_DELETE_TIMEOUT_S = 10.0


def avatar_routes(mesh: Mesh) -> list[BaseRoute]:
    """Returns the routes.

    Args:
        mesh: The stages, already entered.
    """
    calls = _Calls(mesh)
    return [
        Route("/v1/avatars", calls.create, methods=["POST"]),
        Route("/v1/avatars/{name}", calls.delete, methods=["DELETE"]),
    ]


class _Calls:
    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._uploads = Admission(_MAX_UPLOADS, of="photos")

    async def create(self, request: Request) -> Response:
        """Makes an avatar from the form's file `photo`."""
        # The avatar service has places of its own for what was received.
        with self._uploads.place(caller=counted_as(caller(), by_address=True)):
            return await self._create(request)

    async def _create(self, request: Request) -> Response:
        form = await _form(request)
        try:
            config = avatar.CreateAvatarConfig(
                name=_text(form, "name"),
                display_name=_text(form, "display_name"),
                consent=_text(form, "consent"),
                licence=_text(form, "licence"),
                replace=_text(form, "replace") == "true",
                user_id=caller().acts_as,
            )
            photo = form.get("photo")
            if not isinstance(photo, UploadFile):
                raise InvalidRequest("photo: is missing; the form must hold a file `photo`")
            data = await photo.read()
        finally:
            await form.close()
        if not 0 < len(data) <= MAX_PHOTO_BYTES:
            raise Problem(413, f"photo: must be 1 to {MAX_PHOTO_BYTES} bytes, got {len(data)}")
        answered = asyncio.Event()
        requests = _requests(config, data, answered)
        making = self._mesh.avatar.CreateAvatar(requests, timeout=_CREATE_TIMEOUT_S)
        responses = received("avatar", making, last="done")
        # Most errors occur before the first step, so they can still be sent as an HTTP status.
        first = await anext(responses)
        answered.set()
        lines = _lines(first, responses, making, on_end=self._avatars_changed)
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def delete(self, request: Request) -> Response:
        """Deletes an avatar that was made from a photo."""
        name = request.path_params["name"][:64]
        wanted = avatar.DeleteAvatarRequest(name=name, user_id=caller().acts_as)
        try:
            await self._mesh.avatar.DeleteAvatar(wanted, timeout=_DELETE_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from None
        self._avatars_changed()
        return Response(status_code=204)

    def _avatars_changed(self) -> None:
        self._mesh.catalogue.change("avatar")


async def _form(request: Request) -> FormData:
    # Checked before the body is read: a body of unknown length could have any size.
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise Problem(411, "content-length: is missing")
    if int(length) > _MAX_FORM_BYTES:
        raise Problem(413, f"the form must be at most {_MAX_FORM_BYTES} bytes, got {length}")
    try:
        return await request.form(max_files=1, max_fields=8, max_part_size=_MAX_FIELD_BYTES)
    except (MultiPartException, UnicodeDecodeError, KeyError, ValueError) as error:
        text = getattr(error, "message", str(error))
        raise Problem(400, f"the body is not a form: {text[:200]}") from None


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    if not isinstance(value, str):
        raise InvalidRequest(f"{name}: must be a string")
    return value


async def _requests(
    config: avatar.CreateAvatarConfig, data: bytes, answered: asyncio.Event
) -> AsyncIterator[avatar.CreateAvatarRequest]:
    yield avatar.CreateAvatarRequest(config=config)
    # A refusal during a write arrives as INTERNAL, without its reason: so first the answer to the
    # config, which not every service gives before it has the photo.
    with suppress(TimeoutError):
        await asyncio.wait_for(answered.wait(), _CONFIG_ANSWER_S)
    for start in range(0, len(data), _PIECE_BYTES):
        yield avatar.CreateAvatarRequest(photo=data[start : start + _PIECE_BYTES])
    yield avatar.CreateAvatarRequest(end_of_photo=avatar.EndOfPhoto())


async def _lines(
    first: avatar.CreateAvatarResponse,
    rest: AsyncIterator[avatar.CreateAvatarResponse],
    making: Any,
    on_end: Callable[[], None],
) -> AsyncIterator[str]:
    try:
        yield json.dumps(_as_json(first), ensure_ascii=False) + "\n"
        async for response in rest:
            yield json.dumps(_as_json(response), ensure_ascii=False) + "\n"
    except AnimaError as problem:
        line = {"error": {"message": problem.message, "reason": problem.reason}}
        yield json.dumps(line, ensure_ascii=False) + "\n"
    finally:
        making.cancel()
        on_end()


def _as_json(response: avatar.CreateAvatarResponse) -> dict[str, Any]:
    kind = response.WhichOneof("event")
    if kind == "done":
        done = response.done
        made = MessageToDict(
            done.avatar, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        preview = base64.b64encode(done.preview_jpeg).decode()
        return {"done": {"avatar": made, "preview": f"data:image/jpeg;base64,{preview}"}}
    whole: dict[str, Any] = MessageToDict(
        response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return whole
