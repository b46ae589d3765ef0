"""Creation of avatars from photos, over gRPC alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, cast

import cv2
import grpc
import numpy as np
import pytest

from anima.avatar.v1 import (
    AvatarKind,
    AvatarServiceStub,
    CreateAvatarConfig,
    CreateAvatarRequest,
    CreateAvatarResponse,
    CreationDone,
    DeleteAvatarRequest,
    EndOfPhoto,
    GetIdleLoopRequest,
    ListAvatarsRequest,
)
from anima.common.v1 import VideoFormat
from services.runtime.config.settings import ServiceSettings
from services.runtime.errors import AnimaError, Busy, error_from_rpc
from services.runtime.models.store import ModelStore
from tests.contract.avatar_turn import END, config, decode, pieces, render, sound, works
from tests.requirements import need

if TYPE_CHECKING:
    from anima.avatar.v1.avatar_pb2_grpc import AvatarServiceAsyncStub

CONSENT = "A portrait by NASA, in the public domain."
PIECE = 1 << 16


@pytest.fixture(scope="module")
def stub(models_are_here: None, avatar_channel: grpc.aio.Channel) -> AvatarServiceAsyncStub:
    return cast("AvatarServiceAsyncStub", AvatarServiceStub(avatar_channel))


@pytest.fixture(scope="module")
def models_are_here() -> None:
    need("face-mesh")
    need("astronaut")


@pytest.fixture(scope="module")
def photo() -> bytes:
    store = ModelStore(ServiceSettings.from_environment().data_dir / "models")
    return (store.path("astronaut") / "astronaut.png").read_bytes()


def order(**changes: object) -> CreateAvatarRequest:
    values: dict[str, object] = {"name": "eileen", "consent": CONSENT}
    return CreateAvatarRequest(config=CreateAvatarConfig(**(values | changes)))  # type: ignore[arg-type]


def sent(photo: bytes, **changes: object) -> list[CreateAvatarRequest]:
    parts = [photo[i : i + PIECE] for i in range(0, len(photo), PIECE)]
    return [
        order(**changes),
        *(CreateAvatarRequest(photo=part) for part in parts),
        CreateAvatarRequest(end_of_photo=EndOfPhoto()),
    ]


async def create(
    stub: AvatarServiceAsyncStub, requests: Iterable[CreateAvatarRequest]
) -> list[CreateAvatarResponse]:
    async def send() -> AsyncIterator[CreateAvatarRequest]:
        for request in requests:
            yield request

    return [response async for response in stub.CreateAvatar(send())]


async def refused(
    stub: AvatarServiceAsyncStub, requests: Iterable[CreateAvatarRequest]
) -> AnimaError:
    """Sends no photo before the first response, so that grpc.aio reports a refusal unchanged."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await patiently(stub, requests)
    return error_from_rpc(caught.value)


async def patiently(stub: AvatarServiceAsyncStub, requests: Iterable[CreateAvatarRequest]) -> None:
    answered = asyncio.Event()

    async def send() -> AsyncIterator[CreateAvatarRequest]:
        for number, request in enumerate(requests):
            if number == 1:
                await answered.wait()
            yield request

    async for _ in stub.CreateAvatar(send()):
        answered.set()


async def made(stub: AvatarServiceAsyncStub, photo: bytes, **changes: object) -> CreationDone:
    return (await create(stub, sent(photo, **changes)))[-1].done


async def names(stub: AvatarServiceAsyncStub) -> list[str]:
    return [each.name for each in (await stub.ListAvatars(ListAvatarsRequest())).avatars]


async def test_an_avatar_is_made_spoken_with_and_deleted(
    stub: AvatarServiceAsyncStub, photo: bytes
) -> None:
    answers = await create(stub, sent(photo, display_name="Eileen", licence="CC0-1.0"))
    kinds = [answer.WhichOneof("event") for answer in answers]
    assert kinds[0] == "progress"
    assert kinds[-1] == "done"
    assert kinds.count("done") == 1
    percents = [answer.progress.percent for answer in answers if answer.HasField("progress")]
    assert percents == sorted(percents)
    assert percents[-1] <= 100
    assert all(a.progress.step for a in answers if a.HasField("progress"))
    warnings = {a.warning.reason: a.warning.message for a in answers if a.HasField("warning")}
    assert "MOUTH_OPEN" in warnings
    assert all(message.endswith(".") for message in warnings.values())

    done = answers[-1].done
    assert done.avatar.name == "eileen"
    assert done.avatar.display_name == "Eileen"
    assert done.avatar.kind == AvatarKind.AVATAR_KIND_PHOTO
    assert done.avatar.consent == CONSENT
    assert done.avatar.licence == "CC0-1.0"
    assert done.avatar.deletable
    assert done.avatar.created.seconds > 0
    preview = cv2.imdecode(np.frombuffer(done.preview_jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert preview is not None
    assert preview.std() > 20

    listed = {each.name: each for each in (await stub.ListAvatars(ListAvatarsRequest())).avatars}
    assert listed["eileen"] == done.avatar
    assert next(iter(listed)) != "eileen"  # the default stays the default

    samples = sound(0.5)
    video = VideoFormat(width_px=256, height_px=256)
    rendered = await render(stub, [config(avatar="eileen", video=video), *pieces(samples), END])
    pictures = rendered.pictures()
    assert len(pictures) == 13
    assert pictures[0].shape == (256, 256, 3)
    assert np.abs(pictures[-3].astype(int) - pictures[0]).max() > 20  # it speaks

    await stub.DeleteAvatar(DeleteAvatarRequest(name="eileen"))
    assert "eileen" not in await names(stub)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await render(stub, [config(avatar="eileen"), END])
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_name_is_given_once_or_anew_with_replace(
    stub: AvatarServiceAsyncStub, photo: bytes
) -> None:
    first = await made(stub, photo, name="once")
    fault = await refused(stub, sent(photo, name="once"))
    assert fault.reason == "NAME_TAKEN"
    again = await made(stub, photo, name="once", replace=True, display_name="Again")
    assert again.avatar.display_name == "Again"
    assert again.avatar.version
    assert again.avatar.version != first.avatar.version
    assert (await names(stub)).count("once") == 1
    await stub.DeleteAvatar(DeleteAvatarRequest(name="once"))


async def test_the_avatars_of_the_installation_stay(
    stub: AvatarServiceAsyncStub, photo: bytes
) -> None:
    installed = (await names(stub))[0]
    fault = await refused(stub, sent(photo, name=installed, replace=True))
    assert fault.reason == "NAME_TAKEN"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.DeleteAvatar(DeleteAvatarRequest(name=installed))
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    for unknown in ("nobody", "", "../models", "x" * 500):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.DeleteAvatar(DeleteAvatarRequest(name=unknown))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "config.name"),
        ({"name": "Upper"}, "config.name"),
        ({"name": "../up"}, "config.name"),
        ({"name": "a" * 65}, "config.name"),
        ({"consent": ""}, "config.consent"),
        ({"consent": "  yes   "}, "config.consent"),
        ({"consent": "x" * 2001}, "config.consent"),
        ({"display_name": "x" * 101}, "config.display_name"),
        ({"licence": "not\na licence"}, "config.licence"),
        ({"video": VideoFormat(width_px=513)}, "config.video.width_px"),
        ({"video": VideoFormat(frame_rate_hz=200)}, "config.video.frame_rate_hz"),
    ],
)
async def test_a_wrong_order_is_refused_before_the_photo_is_sent(
    stub: AvatarServiceAsyncStub, changes: dict[str, object], field: str
) -> None:
    fault = await refused(stub, [order(**changes)])
    assert fault.code == grpc.StatusCode.INVALID_ARGUMENT
    assert fault.message.startswith(field)


@pytest.mark.parametrize(
    ("requests", "says"),
    [
        ([], "config"),
        ([CreateAvatarRequest(photo=b"abc")], "config"),
        ([CreateAvatarRequest()], "message"),
        ([order(), order()], "config"),
        ([order(), CreateAvatarRequest()], "message"),
        (
            [order(), CreateAvatarRequest(photo=b"")],
            "photo: a piece must have 1 to 1048576 bytes, got 0",
        ),
        (
            [order(), CreateAvatarRequest(photo=bytes((1 << 20) + 1))],
            "photo: a piece must have 1 to 1048576 bytes, got 1048577",
        ),
        ([order(), *[CreateAvatarRequest(photo=bytes(1 << 20))] * 33], "must be at most 32 MiB"),
        ([order()], "end_of_photo"),
        ([order(), CreateAvatarRequest(photo=b"abc")], "end_of_photo"),
        ([order(), CreateAvatarRequest(end_of_photo=EndOfPhoto())], "the file is empty"),
        (sent(b"no picture at all"), "JPEG, PNG or WebP"),
    ],
)
async def test_a_bad_stream_is_named_and_makes_nothing(
    stub: AvatarServiceAsyncStub, requests: list[CreateAvatarRequest], says: str
) -> None:
    before = await names(stub)
    fault = await refused(stub, requests)
    assert fault.code == grpc.StatusCode.INVALID_ARGUMENT
    assert says in fault.message
    assert await names(stub) == before
    assert await works(stub)


async def test_end_of_photo_ends_the_upload_without_a_half_close(
    stub: AvatarServiceAsyncStub,
) -> None:
    call = stub.CreateAvatar()
    await call.write(order())
    await call.write(CreateAvatarRequest(end_of_photo=EndOfPhoto()))

    async def read_on() -> None:  # grpc.aio has no status while messages are unread
        while await call.read() is not grpc.aio.EOF:
            pass

    with pytest.raises(grpc.aio.AioRpcError, match="the file is empty") as raised:
        await read_on()
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_photo_keeps_its_place_until_its_avatar_is_made(
    stub: AvatarServiceAsyncStub, photo: bytes
) -> None:
    calls = [stub.CreateAvatar() for _ in range(2)]
    for number, call in enumerate(calls):
        await call.write(order(name=f"held-{number}"))
        assert await call.read() is not grpc.aio.EOF
    fault = await refused(stub, [order(name="third")])
    assert isinstance(fault, Busy)
    assert fault.retry_after_ms
    for call in calls:
        call.cancel()
    await made(stub, photo, name="third")
    await stub.DeleteAvatar(DeleteAvatarRequest(name="third"))


async def test_the_fault_of_a_photo_has_its_reason(
    stub: AvatarServiceAsyncStub, photo: bytes
) -> None:
    picture = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    done, coded = cv2.imencode(".jpg", np.hstack([picture, picture]))
    assert done
    fault = await refused(stub, sent(coded.tobytes()))
    assert fault.reason == "SEVERAL_FACES"
    assert "eileen" not in await names(stub)


async def test_one_who_leaves_before_the_end_makes_nothing(
    stub: AvatarServiceAsyncStub, photo: bytes
) -> None:
    call = stub.CreateAvatar()
    await call.write(order(name="leaver"))
    await call.read()
    await call.write(CreateAvatarRequest(photo=photo[:1000]))
    call.cancel()
    await made(stub, photo, name="stayer")
    assert "leaver" not in await names(stub)
    await stub.DeleteAvatar(DeleteAvatarRequest(name="stayer"))


async def test_many_at_once_are_made_or_told_to_wait(
    stub: AvatarServiceAsyncStub, photo: bytes
) -> None:
    ended = await asyncio.gather(
        *(patiently(stub, sent(photo, name=f"crowd-{number}")) for number in range(8)),
        return_exceptions=True,
    )
    refusals = [error for error in ended if error is not None]
    for error in refusals:
        assert isinstance(error, grpc.aio.AioRpcError)
        assert isinstance(error_from_rpc(error), Busy)
    crowd = [name for name in await names(stub) if name.startswith("crowd-")]
    assert len(crowd) == len(ended) - len(refusals) >= 1
    for name in crowd:
        await stub.DeleteAvatar(DeleteAvatarRequest(name=name))


async def test_the_mark_is_in_a_corner_of_every_frame(stub: AvatarServiceAsyncStub) -> None:
    video = VideoFormat(width_px=256, height_px=256, frame_rate_hz=10)
    loops = []
    for ai_mark in (False, True):
        request = GetIdleLoopRequest(video=video, ai_mark=ai_mark)
        frames = [f.data async for part in stub.GetIdleLoop(request) for f in part.frames]
        loops.append(decode(frames))
    plain, marked = loops
    assert len(plain) == len(marked)
    for one, other in zip(plain[::20], marked[::20], strict=True):
        difference = np.abs(one.astype(int) - other).max(axis=2)
        assert difference[224:, 224:].max() > 80
        assert difference[:200, :200].mean() < 2
    turn = [config(video=video, ai_mark=True), *pieces(sound(0.2)), END]
    spoken = (await render(stub, turn)).pictures()
    corner = np.abs(spoken[0][224:, 224:].astype(int) - marked[0][224:, 224:])
    assert corner.mean() < 4


async def test_an_avatar_with_an_owner_is_for_its_owner_alone(
    stub: AvatarServiceAsyncStub, photo: bytes
) -> None:
    done = await made(stub, photo, name="adas", user_id="ada")
    assert done.avatar.user_id == "ada"

    async def listed(user_id: str) -> dict[str, str]:
        answer = await stub.ListAvatars(ListAvatarsRequest(user_id=user_id))
        return {each.name: each.consent for each in answer.avatars}

    everything, adas, bobs = await listed(""), await listed("ada"), await listed("bob")
    assert everything["adas"] == adas["adas"] == CONSENT
    assert bobs.keys() == everything.keys() - {"adas"}
    assert set(bobs.values()) == {""}

    replacing = sent(photo, name="adas", user_id="bob", replace=True)
    assert (await refused(stub, replacing)).reason == "NOT_YOURS"
    assert (await refused(stub, sent(photo, name="adas", user_id="bob"))).reason == "NOT_YOURS"
    installed = sorted(name for name in bobs if name != "adas")[0]
    for name, user_id in (("adas", "bob"), (installed, "bob"), ("nobodys", "bob")):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.DeleteAvatar(DeleteAvatarRequest(name=name, user_id=user_id))
        expected = "NOT_FOUND" if name == "nobodys" else "NOT_YOURS"
        assert error_from_rpc(caught.value).reason == expected
    assert "adas" in await listed("ada")

    await made(stub, photo, name="adas", user_id="ada", replace=True)
    await stub.DeleteAvatar(DeleteAvatarRequest(name="adas", user_id="ada"))
    assert "adas" not in await listed("")
