"""The conformance suite of a gateway: talks only gRPC.

`pytest tests/contract/test_gateway.py --gateway-address HOST:PORT [--token T]` runs it against any
gateway with a whole mesh behind it; without the option our gateway is started here, in front of
scripted stages.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio

import anima.common.v1 as common
import anima.gateway.v1 as pb
from gateway.stages.spec import STAGES
from services.runtime.calls.channels import open_channel
from services.runtime.errors import AnimaError, Busy, error_from_rpc
from testing.fakes.mesh import FakeMesh
from tests.unit.gateway.conversing import grpc_conversation

QUESTION = "What can you do?"
TEXT = pb.ConverseRequest(text=pb.TextInput(text=QUESTION))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(request: pytest.FixtureRequest) -> AsyncIterator[pb.GatewayServiceStub]:
    address = request.config.getoption("--gateway-address")
    if address:
        async with open_channel(address, token=request.config.getoption("--token")) as channel:
            yield pb.GatewayServiceStub(channel)
        return
    async with FakeMesh() as fake, fake.gateway() as stub:
        yield stub


async def refused(gateway: Any, *requests: pb.ConverseRequest) -> grpc.aio.AioRpcError:
    """Sends requests and returns the error that ends the stream."""
    call = gateway.Converse(iter(requests))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    error: grpc.aio.AioRpcError = caught.value
    return error


def config(**fields: Any) -> pb.ConverseRequest:
    return pb.ConverseRequest(config=pb.ConverseConfig(**fields))


async def test_an_answer_in_the_order_of_the_contract(gateway: Any) -> None:
    async with grpc_conversation(gateway) as (send, said):
        await send(TEXT)
        ended = await said.until_kind("turn_ended")
        kinds = said.kinds()
        assert kinds[:2] == ["session_started", "turn_started"]
        assert kinds[-1] == "turn_ended"
        assert {"text_delta", "segment_started", "marks", "media"} <= set(kinds)
        (started,) = said.all("session_started")
        assert started.session_id
        rate = started.sample_rate_hz
        place = 0
        for sequence, media in enumerate(said.all("media"), 1):
            assert (media.header.turn_id, media.header.sequence) == (ended.header.turn_id, sequence)
            assert media.audio.sample_rate_hz == rate
            assert media.audio.start_sample == place
            place += len(media.audio.pcm) // 2
        assert place == ended.sample_count
        frames = [frame for media in said.all("media") for frame in media.frames]
        assert [frame.frame_number for frame in frames] == list(range(1, len(frames) + 1))
        assert frames[0].key_frame
        per_frame = rate / started.video.frame_rate_hz
        assert abs(len(frames) * per_frame - place) <= per_frame
        assert "".join(delta.text for delta in said.all("text_delta")) == ended.text
        for segment in said.all("segment_started"):
            span = segment.chars
            assert ended.text[span.start_char : span.end_char] == segment.text
        assert ended.reason in (common.END_REASON_COMPLETE, common.END_REASON_LENGTH)
        assert ended.heard_text == ended.text
        assert 0 < ended.first_media_us < 50_000_000
        assert {"llm", "tts", "avatar"} <= {span.stage for span in ended.spans}


async def test_half_close_lets_the_answer_end(gateway: Any) -> None:
    call = gateway.Converse(iter([config(text_only=True), TEXT]))
    kinds = [event.WhichOneof("event") async for event in call]
    assert kinds[-1] == "turn_ended"
    assert await call.code() == grpc.StatusCode.OK


async def test_stop_is_confirmed_by_the_stages(gateway: Any) -> None:
    async with grpc_conversation(gateway) as (send, said):
        await send(TEXT)
        await said.until_kind("media")
        await send(pb.ConverseRequest(stop=pb.Stop()))
        interrupted = await said.until_kind("turn_interrupted")
        assert interrupted.header.epoch == 1
        assert interrupted.stages
        assert all(stop.confirmed for stop in interrupted.stages)
        ended = await said.until_kind("turn_ended")
        assert ended.reason == common.END_REASON_INTERRUPTED
        await send(TEXT)
        assert (await said.until_kind("turn_started", 2)).header.epoch == 1


async def test_silence_and_a_released_button_are_not_understood(gateway: Any) -> None:
    async with grpc_conversation(gateway) as (send, said):
        chunk = common.AudioChunk(sample_rate_hz=16_000, pcm=bytes(32_000))
        await send(pb.ConverseRequest(audio=chunk))
        await send(pb.ConverseRequest(end_of_speech=pb.EndOfSpeech()))
        notice = await said.until_kind("notice")
        assert notice.kind == pb.NOTICE_KIND_NOT_UNDERSTOOD
        assert notice.text


async def test_the_mesh_is_described(gateway: Any) -> None:
    mesh = await gateway.DescribeMesh(pb.DescribeMeshRequest())
    assert [status.stage for status in mesh.stages] == list(STAGES)
    assert all(status.ready and status.engine.name for status in mesh.stages)
    assert mesh.personas
    assert mesh.voices
    assert mesh.avatars


@pytest.mark.parametrize(
    ("requests", "code", "text"),
    [
        ([], grpc.StatusCode.INVALID_ARGUMENT, "config"),
        ([pb.ConverseRequest()], grpc.StatusCode.INVALID_ARGUMENT, "config"),
        ([TEXT], grpc.StatusCode.INVALID_ARGUMENT, "config"),
        ([config(), config()], grpc.StatusCode.INVALID_ARGUMENT, "config"),
        ([config(), pb.ConverseRequest()], grpc.StatusCode.INVALID_ARGUMENT, "message"),
        ([config(session_id="a b")], grpc.StatusCode.INVALID_ARGUMENT, "session_id"),
        ([config(user_id="u" * 129)], grpc.StatusCode.INVALID_ARGUMENT, "user_id"),
        ([config(language="?!")], grpc.StatusCode.INVALID_ARGUMENT, "language"),
        ([config(input_sample_rate_hz=7)], grpc.StatusCode.INVALID_ARGUMENT, "sample_rate_hz"),
        ([config(persona="nobody")], grpc.StatusCode.NOT_FOUND, "persona"),
        ([config(voice="nobody")], grpc.StatusCode.NOT_FOUND, "voice"),
        ([config(avatar="nobody")], grpc.StatusCode.NOT_FOUND, "avatar"),
        (
            [config(), pb.ConverseRequest(text=pb.TextInput())],
            grpc.StatusCode.INVALID_ARGUMENT,
            "text",
        ),
        (
            [config(), pb.ConverseRequest(text=pb.TextInput(text="a" * 8001))],
            grpc.StatusCode.INVALID_ARGUMENT,
            "text",
        ),
        (
            [config(), pb.ConverseRequest(audio=common.AudioChunk(sample_rate_hz=8000))],
            grpc.StatusCode.INVALID_ARGUMENT,
            "sample_rate_hz",
        ),
        (
            [
                config(),
                pb.ConverseRequest(audio=common.AudioChunk(sample_rate_hz=16_000, pcm=b"abc")),
            ],
            grpc.StatusCode.INVALID_ARGUMENT,
            "pcm",
        ),
        (
            [
                config(),
                pb.ConverseRequest(
                    audio=common.AudioChunk(sample_rate_hz=16_000, pcm=b"ab", start_sample=-5)
                ),
            ],
            grpc.StatusCode.INVALID_ARGUMENT,
            "start_sample",
        ),
        (
            [config(), pb.ConverseRequest(playback=pb.PlaybackReport(turn_id="a b"))],
            grpc.StatusCode.INVALID_ARGUMENT,
            "turn_id",
        ),
        (
            [
                config(),
                pb.ConverseRequest(playback=pb.PlaybackReport(turn_id="a", played_samples=-1)),
            ],
            grpc.StatusCode.INVALID_ARGUMENT,
            "played_samples",
        ),
    ],
)
async def test_wrong_input_is_named(
    gateway: Any, requests: list[pb.ConverseRequest], code: grpc.StatusCode, text: str
) -> None:
    error = await refused(gateway, *requests)
    assert error.code() == code
    assert text in (error.details() or "")
    assert error_from_rpc(error).reason
    mesh = await gateway.DescribeMesh(pb.DescribeMeshRequest())
    assert mesh.personas, "the service lives on"


async def test_bytes_that_are_no_message(request: pytest.FixtureRequest, gateway: Any) -> None:
    address = request.config.getoption("--gateway-address") or gateway.address
    async with open_channel(address, token=request.config.getoption("--token")) as channel:
        raw: Any = channel.stream_stream("/anima.gateway.v1.GatewayService/Converse")
        with pytest.raises(grpc.aio.AioRpcError):
            async for _ in raw(iter([b"\xff\xff\xff\xff"])):
                pass
    assert (await gateway.DescribeMesh(pb.DescribeMeshRequest())).personas


async def test_places_are_given_back(gateway: Any) -> None:
    mesh_calls = [gateway.Converse(iter([config(text_only=True), TEXT])) for _ in range(8)]

    async def to_the_end(call: Any) -> str:
        return [event.WhichOneof("event") async for event in call][-1] or ""

    assert set(await asyncio.gather(*map(to_the_end, mesh_calls))) == {"turn_ended"}
    async with grpc_conversation(gateway, pb.ConverseConfig(text_only=True)) as (send, said):
        await send(TEXT)
        await said.until_kind("turn_ended")


async def test_full_gateway_says_when_to_come_again(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--gateway-address"):
        pytest.skip("the capacity of somebody's gateway is not ours to fill")
    async with (
        FakeMesh() as fake,
        fake.gateway(capacity=1) as gateway,
        grpc_conversation(gateway) as (_, said),
    ):
        await said.until_kind("session_started")
        error = await refused(gateway, config())
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert getattr(error_from_rpc(error), "retry_after_ms", None)


async def test_every_one_of_many_refusals_says_when_to_come_again(
    request: pytest.FixtureRequest,
) -> None:
    """Also those before a call's first message is read, of which the gateway opens 18 at a time."""
    if request.config.getoption("--gateway-address"):
        pytest.skip("the capacity of somebody's gateway is not ours to fill")
    async with (
        FakeMesh() as fake,
        fake.gateway(capacity=1) as gateway,
        grpc_conversation(gateway) as (_, said),
    ):
        await said.until_kind("session_started")

        async def refusal() -> AnimaError:
            call = gateway.Converse()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await begin(call)
            return error_from_rpc(caught.value)

        async def begin(call: Any) -> None:
            await call.write(config())
            await call.read()

        refusals = await asyncio.gather(*(refusal() for _ in range(200)))
        assert {type(each) for each in refusals} == {Busy}, Counter(map(str, refusals))
        assert all(isinstance(each, Busy) and each.retry_after_ms for each in refusals)
