"""A stage is added by one entry in the table and one fake; no other code names it."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from bench.chaos import Aftermath
from cli import doctor
from cli.mesh.layout import fixed_layout
from gateway import notices
from gateway.settings import GatewaySettings
from gateway.stages.spec import STAGES, AnswerKind, StageSpec, chain, needed_for
from gateway.turn.timing.waits import parts
from testing.fakes.mesh import FakeMesh
from testing.fakes.stages import FakeTts
from tests.unit.gateway.test_rest import site

VOICE = StageSpec(
    name="voice",
    api="anima.tts.v1",
    service="TtsService",
    module="services.voice",
    default_port=50056,
    upstream=("tts",),
    terminal_event="segment_end",
    silence_ms=1_500,
)


@pytest.fixture(autouse=True)
def voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STAGES, "voice", VOICE)
    monkeypatch.setitem(STAGES, "avatar", replace(STAGES["avatar"], upstream=("voice",)))


class MeshWithVoice(FakeMesh):
    """The scripted stages and the new one."""

    def __init__(self) -> None:
        super().__init__()
        self.voice = FakeTts()


def up() -> float | None:
    return REGISTRY.get_sample_value("anima_gateway_stage_up", {"stage": "voice"})


async def test_the_gateway_watches_it_and_lists_it() -> None:
    async with MeshWithVoice() as fake, site(fake) as (_, mesh, client):
        states = mesh.states
        await states.until(lambda: not states.problems())
        assert up() == 1.0
        listed = (await client.get("/v1/mesh")).json()["stages"]
        assert listed[-1]["stage"] == "voice"
        assert listed[-1]["engine"]["name"] == "scripted"
        await fake.stop("voice")
        await states.until(lambda: list(states.problems()) == ["voice"])
        assert up() == 0.0
        body = (await client.get("/readyz")).json()
        assert body["ready"], "answers do not need it"
        assert list(body["problems"]) == ["voice"]


async def test_the_gateway_opens_a_channel_to_it() -> None:
    async with MeshWithVoice() as fake, fake.mesh() as mesh:
        voices: Any = await mesh.stub("voice").ListVoices(VOICE.request("ListVoices"))
        assert voices.voices


def test_it_has_settings() -> None:
    settings = GatewaySettings.from_environment(
        {"ANIMA_GATEWAY_VOICE_TARGET": "voice:1", "ANIMA_GATEWAY_VOICE_SILENCE_TIMEOUT_MS": "900"}
    )
    assert settings.stages["voice"].target == "voice:1"
    assert settings.stages["voice"].silence_ms == 900
    defaults = GatewaySettings().stages["voice"]
    assert (defaults.target, defaults.silence_ms) == ("127.0.0.1:50056", 1_500)


def test_a_mesh_on_this_machine_has_it() -> None:
    layout = fixed_layout(http_address="127.0.0.1:8080", first_port=60000)
    (member,) = [each for each in layout.members if each.name == "voice"]
    assert (member.module, member.address) == ("services.voice", "127.0.0.1:60006")
    assert member.environment == {"ANIMA_VOICE_LISTEN": "127.0.0.1:60006"}
    assert layout.gateway.environment["ANIMA_GATEWAY_VOICE_TARGET"] == member.address


def test_the_doctor_looks_for_its_engines() -> None:
    assert not importlib.metadata.entry_points(group="anima.voice.engines")
    (finding,) = [each for each in doctor.examine() if each.subject == "voice engines"]
    assert finding.verdict is doctor.Verdict.MISSING


def test_it_has_its_place_in_the_chain() -> None:
    assert chain() == ("asr", "memory", "llm", "tts", "voice", "avatar")
    assert parts()[-3:] == ("voice", "avatar", "playout")
    assert "voice" not in needed_for(AnswerKind.VIDEO)


def test_people_are_told_of_it() -> None:
    assert notices.degraded("voice", "en").text
    assert notices.stage_failed("voice", "zh", "1").text


def test_a_run_that_spares_it_has_a_fault() -> None:
    assert any("voice" in fault for fault in Aftermath().faults())
