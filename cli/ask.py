"""`anima ask`: one question to a mesh, the answer as text, film, sound, subtitles or JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, cast

import grpc
import typer
from rich.progress import Progress, TaskID

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.gateway.v1 import gateway_pb2_grpc
from cli.addresses import LOOPBACK
from cli.console import fail, progress, results
from cli.mesh.checks import CheckError, DataInUseError, check
from cli.mesh.layout import Layout, free_layout
from cli.mesh.models import missing_models, warn_about
from cli.mesh.record import target_of
from cli.mesh.supervisor import State, Status, Supervisor
from cli.refusals import CALLER, refusal
from gateway.http.ask import subtitles
from gateway.http.ask.answer import (
    NotUnderstood,
    Reply,
    check_reply,
    one_question,
    question_requests,
)
from gateway.http.ask.media_files import to_mp4, to_wav
from gateway.http.ask.recordings import NotAudio, Recordings, TooLong
from gateway.http.ask.reply import to_json
from gateway.pictures.limits import MAX_PICTURE_BYTES, MAX_PICTURES
from gateway.stages.spec import GATEWAY, GATEWAY_PORT
from services.runtime.calls.channels import open_channel
from services.runtime.config.settings import ServiceSettings
from services.runtime.errors import Unavailable
from services.runtime.identity.call_tokens import call_token
from services.runtime.process.private_files import write_private
from services.runtime.process.tasks import beside

_TIMEOUT_S: Final = 300.0
_DESCRIBE_TIMEOUT_S: Final = 10.0
_EXAMPLE: Final = 'For example: anima ask "Who are you?"'


def _film(reply: Reply) -> bytes:
    if not reply.frames:
        fail(
            "the answer has no video: the avatar service is unavailable.",
            remedy="Ask for a .wav file.",
        )
    return to_mp4(
        reply.frames,
        frame_rate_hz=reply.frame_rate_hz,
        pcm=bytes(reply.pcm),
        sample_rate_hz=reply.sample_rate_hz,
    )


def _cues(reply: Reply) -> list[subtitles.Cue]:
    return subtitles.cues(reply.text, reply.words, sample_rate_hz=reply.sample_rate_hz)


def _json(reply: Reply) -> bytes:
    return json.dumps(to_json(reply), ensure_ascii=False, indent=2).encode() + b"\n"


_WRITERS: Final[Mapping[str, Callable[[Reply], bytes]]] = {
    ".mp4": _film,
    ".wav": lambda reply: to_wav(bytes(reply.pcm), sample_rate_hz=reply.sample_rate_hz),
    ".json": _json,
    ".vtt": lambda reply: subtitles.to_vtt(_cues(reply)).encode(),
    ".srt": lambda reply: subtitles.to_srt(_cues(reply)).encode(),
    ".txt": lambda reply: reply.text.encode() + b"\n",
}


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The parsed command line."""

    question: Any
    """Text, or mono samples at 16,000 Hz."""
    config: pb.ConverseConfig
    files: tuple[Path, ...]
    pictures: tuple[bytes, ...] = ()


def ask(
    text: Annotated[str | None, typer.Argument(help="The question, typed.", metavar="TEXT")] = None,
    audio: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The question, spoken: WAV, FLAC, MP3, ..."),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, dir_okay=False, help="A picture to ask about: JPEG, PNG, WebP; up to four."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file for the answer: .mp4 .wav .json .vtt .srt .txt")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Text, subtitles, word and stage times as JSON.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Start a mesh for this call and stop it afterwards.")
    ] = False,
    gateway: Annotated[
        str | None,
        typer.Option(
            help="gRPC address of the gateway; default: the running mesh.",
            envvar="ANIMA_GATEWAY",
            metavar="HOST:PORT",
        ),
    ] = None,
    persona: Annotated[str, typer.Option(help="The persona (see: anima persona list).")] = "",
    language: Annotated[
        str,
        typer.Option(
            help="Language to answer in, such as en or zh; default: that of the question."
        ),
    ] = "",
    voice: Annotated[str, typer.Option(help="The voice; default: the persona's.")] = "",
    avatar: Annotated[str, typer.Option(help="The face; default: the persona's.")] = "",
    user: Annotated[
        str, typer.Option(help="The user id whose memory is used; default: none.")
    ] = "",
) -> None:
    """Ask one question and get the answer as text, film, sound, subtitles or JSON.

    The text of the answer is printed while it is generated.
    """
    files = tuple(path for path in (out, json_file) if path is not None)
    for path in files:
        _check_target(path, json_file)
    asked = _Asked(
        question=_question(text, audio),
        config=pb.ConverseConfig(
            user_id=user,
            persona=persona,
            language=language,
            voice=voice,
            avatar=avatar,
            # rendering takes most of the time, so it is skipped if no file needs it
            audio_only=bool(files) and not any(path.suffix == ".mp4" for path in files),
            text_only=not files,
        ),
        files=files,
        pictures=tuple(_picture(path) for path in image or ()),
    )
    if len(asked.pictures) > MAX_PICTURES:
        fail(f"--image: at most {MAX_PICTURES} pictures can be shown with one question.")
    try:
        reply = asyncio.run(_ask(asked, _checked_layout() if local else _target(gateway)))
    except NotUnderstood as error:
        fail(
            str(error),
            remedy="Speak close to the microphone, in a language that the recogniser supports.",
        )
    except Unavailable as error:
        stage = error.metadata.get("stage")
        fail(str(error), remedy=f"See the log of the service {stage}." if stage else "")
    for path in files:
        content = _json(reply) if path is json_file else _WRITERS[path.suffix](reply)
        write_private(path, content)


def _target(gateway: str | None) -> str:
    otherwise = f"{LOOPBACK}:{GATEWAY_PORT}"
    return target_of(GATEWAY, gateway, option="--gateway", otherwise=otherwise)


def _check_target(path: Path, json_file: Path | None) -> None:
    if path is not json_file and path.suffix not in _WRITERS:
        fail(f"{path}: unknown file type.", remedy=f"Use one of {' '.join(_WRITERS)}")
    if not path.absolute().parent.is_dir():
        fail(f"{path}: the folder does not exist.")


def _question(text: str | None, audio: Path | None) -> Any:
    if (text is None) == (audio is None):
        fail("give either TEXT or --audio FILE.", remedy=_EXAMPLE)
    if text is not None:
        if not text.strip():
            fail("the question is empty.", remedy=_EXAMPLE)
        return text
    assert audio is not None  # noqa: S101
    with contextlib.closing(Recordings()) as recordings:
        try:
            return recordings.read_now(audio.read_bytes())
        except (NotAudio, TooLong, Unavailable) as error:
            fail(f"{audio}: {error}")


def _picture(path: Path) -> bytes:
    size = path.stat().st_size
    if not 0 < size <= MAX_PICTURE_BYTES:
        fail(f"{path}: a picture must have 1 to {MAX_PICTURE_BYTES} bytes, this has {size}.")
    return path.read_bytes()


def _checked_layout() -> Layout:
    layout = free_layout()
    try:
        warn_about(missing_models(check(layout)))
    except DataInUseError as error:
        fail(str(error), remedy="Use that mesh: omit --local.")
    except CheckError as error:
        fail(str(error), remedy=error.remedy)
    return layout


async def _ask(asked: _Asked, mesh: Layout | str) -> Reply:
    """Asks a mesh that is started for this question, or the gateway at an address."""
    with progress() as display:
        task = display.add_task("connecting", total=None)
        async with contextlib.AsyncExitStack() as stack:
            if isinstance(mesh, Layout):
                mesh = await stack.enter_async_context(_local_mesh(mesh, display, task))
            return await _converse(asked, mesh, display, task)


@contextlib.asynccontextmanager
async def _local_mesh(layout: Layout, display: Progress, task: TaskID) -> AsyncIterator[str]:
    ready: set[str] = set()

    def show(status: Status) -> None:
        if status.state is State.READY:
            ready.add(status.member.name)
        text = f"starting the mesh: {', '.join(sorted(ready)) or 'nothing ready yet'}"
        display.update(task, description=text, completed=len(ready), total=len(layout.members))

    with tempfile.TemporaryDirectory(prefix="anima-") as logs:
        token = ServiceSettings.from_environment().token
        supervisor = Supervisor(layout, log_folder=Path(logs), token=token, on_change=show)
        async with supervisor.running():
            await supervisor.until_settled()
            for status in supervisor.statuses.values():
                if status.state is State.FAILED:
                    fail(
                        f"{status.member.name} could not start: {status.problem}",
                        remedy="anima doctor",
                    )
            yield layout.gateway.address


async def _converse(asked: _Asked, gateway: str, display: Progress, task: TaskID) -> Reply:
    token = call_token(ServiceSettings.from_environment(), CALLER)
    reply = Reply()
    async with open_channel(gateway, token=token) as channel:
        stub = cast(
            "gateway_pb2_grpc.GatewayServiceAsyncStub",
            gateway_pb2_grpc.GatewayServiceStub(channel),
        )
        call: Any = stub.Converse()
        opened = asyncio.Event()
        try:
            async with (
                asyncio.timeout(_TIMEOUT_S),
                beside(_send(call, asked, opened), name="question"),
            ):
                await call.write(pb.ConverseRequest(config=one_question(asked.config)))
                async for event in call:
                    opened.set()
                    reply.add(event)
                    _show(event, reply, display, task)
        except grpc.aio.AioRpcError as error:
            clear = await _clearer(stub, error)
            problem, remedy = refusal(clear, service="gateway", target=gateway)
            fail(problem, remedy=remedy)
        except TimeoutError:
            fail(f"the answer was not ready within {_TIMEOUT_S:g} s.")
    results.print()
    check_reply(reply)
    return reply


async def _clearer(
    stub: gateway_pb2_grpc.GatewayServiceAsyncStub, error: grpc.aio.AioRpcError
) -> grpc.aio.AioRpcError:
    """Returns the status of a rejected stream, which grpc.aio sometimes reports as INTERNAL.

    This happens if the rejection coincides with the write of the first message. A unary call
    returns the actual reason, such as a missing token.
    """
    if error.code() == grpc.StatusCode.INTERNAL:
        try:
            await stub.DescribeMesh(pb.DescribeMeshRequest(), timeout=_DESCRIBE_TIMEOUT_S)
        except grpc.aio.AioRpcError as clearer:
            return clearer
    return error


async def _send(call: Any, asked: _Asked, opened: asyncio.Event) -> None:
    # Nothing is written before the session is open: grpc.aio reports the status of a rejected
    # stream as INTERNAL if a write is pending.
    await opened.wait()
    # Writes to an ended stream fail in several ways; the reader gets the reason.
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        async for request in question_requests(asked.question, asked.pictures):
            await call.write(request)
        await call.done_writing()


def _show(event: pb.ConverseResponse, reply: Reply, display: Progress, task: TaskID) -> None:
    kind = event.WhichOneof("event")
    if kind == "text_delta":
        results.out(event.text_delta.text, end="")
    elif kind == "media" and reply.sample_rate_hz:
        seconds = len(reply.pcm) / 2 / reply.sample_rate_hz
        display.update(task, description=f"answering: {seconds:.1f} s of speech", total=None)
    elif kind == "turn_ended" and event.turn_ended.reason == common.END_REASON_COMPLETE:
        display.update(task, description="writing")
