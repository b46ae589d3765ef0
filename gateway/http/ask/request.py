"""Parses `POST /v1/ask`: JSON with a typed question, or a form with a recorded one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.http.ask.recordings import MAX_AUDIO_BYTES, NotAudio, Recordings, TooLong
from gateway.http.problems import Problem
from gateway.pictures.limits import MAX_PICTURE_BYTES, MAX_PICTURES

_MAX_JSON_BYTES = 256 * 1024
_MAX_FORM_BYTES = MAX_AUDIO_BYTES + MAX_PICTURE_BYTES + _MAX_JSON_BYTES
_FILES = ("audio", "picture")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class VideoFields(_Strict):
    """The field `video` of a question; 0: the avatar's own value."""

    width_px: int = 0
    height_px: int = 0
    frame_rate_hz: int = 0


class AskFields(_Strict):
    """The fields of a question; an empty field means the default of the contract."""

    text: str | None = None
    persona: str = ""
    language: str = ""
    voice: str = ""
    avatar: str = ""
    user_id: str = ""
    video: VideoFields = VideoFields()


@dataclass(frozen=True, kw_only=True)
class AskRequest:
    """A question that was received over HTTP.

    Attributes:
        question: Text, or mono samples at 16,000 Hz.
        config: The config of the conversation.
        pictures: Files that are shown with the question, as received.
    """

    question: str | NDArray[np.int16]
    config: pb.ConverseConfig
    pictures: Sequence[bytes] = ()


async def read_ask(request: Request, recordings: Recordings) -> AskRequest:
    """Reads a question.

    Args:
        request: The request.
        recordings: Decodes a recorded question.

    Raises:
        Problem: 400 for a body that does not match its type, 413 for a body that is too large, 415
            for another type or for audio that cannot be decoded, 422 for an invalid field.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/json":
        fields = _fields(await _json(request))
        if fields.text is None:
            raise Problem(422, "text: is missing; send it, or a form with the field `audio`")
        return AskRequest(question=fields.text, config=_config(fields))
    if content_type == "multipart/form-data":
        return await _read_form(request, recordings)
    raise Problem(
        415,
        f"content-type: {content_type[:80]!r} is neither application/json nor multipart/form-data",
    )


async def _read_form(request: Request, recordings: Recordings) -> AskRequest:
    recordings.expect()
    async with await _form(request) as form:
        audio = form.get("audio")
        fields = _fields(_form_fields(form))
        pictures = [await _picture(each) for each in form.getlist("picture")]
        if isinstance(audio, UploadFile):
            if fields.text is not None:
                raise Problem(422, "text: cannot be combined with `audio`")
            question: str | NDArray[np.int16] = await _samples(audio, recordings)
        elif audio is not None:
            raise Problem(422, "audio: must be a file")
        elif fields.text is None:
            raise Problem(422, "audio: is missing; the form must hold a file `audio` or a `text`")
        else:
            question = fields.text
    return AskRequest(question=question, config=_config(fields), pictures=pictures)


async def _picture(file: UploadFile | str) -> bytes:
    if not isinstance(file, UploadFile):
        raise Problem(422, "picture: must be a file")
    data = await file.read(MAX_PICTURE_BYTES + 1)
    if len(data) > MAX_PICTURE_BYTES:
        raise Problem(413, f"picture: must be at most {MAX_PICTURE_BYTES} bytes")
    if not data:
        raise Problem(422, "picture: the file is empty")
    return data


async def _json(request: Request) -> Any:
    body = await _limited(request, _MAX_JSON_BYTES).body()
    try:
        return json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Problem(400, f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from None


async def _form(request: Request) -> Any:
    try:
        form = await _limited(request, _MAX_FORM_BYTES).form(
            max_files=1 + MAX_PICTURES, max_fields=10, max_part_size=_MAX_JSON_BYTES
        )
    except (MultiPartException, UnicodeDecodeError, KeyError, ValueError) as error:
        text = getattr(error, "message", str(error))
        raise Problem(400, f"the form cannot be read: {text}") from None
    return _Closing(form)


class _Closing:
    """Closes a form, including the files of its parts."""

    def __init__(self, form: FormData) -> None:
        self._form = form

    async def __aenter__(self) -> FormData:
        return self._form

    async def __aexit__(self, *_: object) -> None:
        await self._form.close()


def _form_fields(form: FormData) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name in fields:
            raise Problem(422, f"{name[:80]}: is given twice")
        if name in _FILES:
            continue
        if not isinstance(value, str):
            raise Problem(422, f"{name[:80]}: only `audio` and `picture` may be files")
        fields[name] = value
    if "video" in fields:
        try:
            fields["video"] = json.loads(fields["video"])
        except ValueError as error:
            raise Problem(422, f"video: is not JSON: {error}") from None
    return fields


def _fields(values: Any) -> AskFields:
    if not isinstance(values, dict):
        raise Problem(422, "the body must be a JSON object")
    try:
        fields = AskFields.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])[:80]
        raise Problem(422, f"{name}: {first['msg']}") from None
    for field, value in fields:
        if isinstance(value, str):
            _check_unicode(field, value)
    return fields


def _check_unicode(field: str, value: str) -> None:
    # Half of a surrogate pair is valid JSON, but not text.
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Problem(422, f"{field}: is not valid Unicode at character {error.start}") from None


def _config(fields: AskFields) -> pb.ConverseConfig:
    for name, side in fields.video:
        if not 0 <= side < 2**31:
            raise Problem(422, f"video.{name}: {side} is out of range")
    return pb.ConverseConfig(
        user_id=fields.user_id,
        persona=fields.persona,
        language=fields.language,
        voice=fields.voice,
        avatar=fields.avatar,
        video=common.VideoFormat(
            width_px=fields.video.width_px,
            height_px=fields.video.height_px,
            frame_rate_hz=fields.video.frame_rate_hz,
        ),
    )


async def _samples(audio: UploadFile, recordings: Recordings) -> NDArray[np.int16]:
    data = await audio.read(MAX_AUDIO_BYTES + 1)
    if len(data) > MAX_AUDIO_BYTES:
        raise Problem(413, f"audio: must be at most {MAX_AUDIO_BYTES} bytes")
    if not data:
        raise Problem(422, "audio: the file is empty")
    try:
        return await recordings.read(data)
    except TooLong as error:
        raise Problem(413, f"audio: {error}") from None
    except NotAudio as error:
        raise Problem(415, f"audio: {error}") from None


def _limited(request: Request, max_bytes: int) -> Request:
    """Returns the request with a body that is rejected once it is too large."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise Problem(413, f"the body must be at most {max_bytes} bytes, got {length}")
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise Problem(413, f"the body is larger than {max_bytes} bytes")
        return message

    return Request(request.scope, receive)
