"""The contract of speech with a person's own voice, over a tiny one in the genuine format."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from anima.common.v1 import END_REASON_COMPLETE
from anima.tts.v1 import VOICE_USE_UNSPECIFIED, ListVoicesRequest
from services.runtime.engines import engine_names
from testing.streams.tts import config, end_of_text, exchange, service, speak, text
from tests.contract.conftest import own_channel
from tests.unit.tts_piper.tiny_piper import install, tiny_piper


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def piper_channel(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a synthesiser that speaks with the voices of a folder."""
    assert "piper" in engine_names("tts"), "install Anima again: make setup-dev"
    data_dir = tmp_path_factory.mktemp("piper")
    install(data_dir / "tts" / "piper", "ada")
    install(
        data_dir / "tts" / "piper",
        "duo",
        tiny_piper(speakers=2),
        num_speakers=2,
        speaker_id_map={"x": 0, "y": 1},
    )
    async with own_channel("tts", engine="piper", data_dir=data_dir) as channel:
        yield channel


async def test_a_turn(piper_channel: grpc.aio.Channel) -> None:
    turn = await speak(piper_channel, "Hello, my friend.", " It is ten past 3.", language="en-US")
    assert turn.started.voice == "piper-ada"
    assert turn.words[:3] == ["Hello", "my", "friend"]
    assert all(part.end and part.end.reason == END_REASON_COMPLETE for part in turn.spoken.values())


async def test_a_speaker_is_a_voice(piper_channel: grpc.aio.Channel) -> None:
    voices = (await service(piper_channel).ListVoices(ListVoicesRequest())).voices
    assert [voice.name for voice in voices] == ["piper-ada", "piper-duo-x", "piper-duo-y"]
    assert {voice.use for voice in voices} == {VOICE_USE_UNSPECIFIED}
    requests = [config(voices=["piper-duo-y"]), text(1, "Hello."), end_of_text()]
    turn = await exchange(piper_channel, requests)
    assert turn.started.voice == "piper-duo-y"
    assert turn.spoken[1].audio.any()
