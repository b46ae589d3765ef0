"""The settings of the gateway: a group for each stage, with its own variables."""

from __future__ import annotations

import pytest

from gateway.settings import GatewaySettings
from gateway.stages.spec import STAGES
from services.runtime.config.settings import SettingsError


def test_the_defaults_of_a_stage_are_those_of_the_table() -> None:
    stages = GatewaySettings().stages
    assert list(stages) == list(STAGES)
    assert stages["llm"].target == "127.0.0.1:50052"
    assert (stages["llm"].silence_ms, stages["llm"].open_ms) == (8_000, 5_000)
    assert (stages["avatar"].silence_ms, stages["avatar"].open_ms) == (2_000, 2_000)
    assert stages["memory"].silence_ms is None


def test_a_stage_is_set_by_variables() -> None:
    settings = GatewaySettings.from_environment(
        {
            "ANIMA_GATEWAY_LLM_TARGET": "dns:///llm:1",
            "ANIMA_GATEWAY_LLM_FALLBACK_TARGET": "dns:///llm:2",
            "ANIMA_GATEWAY_LLM_SILENCE_TIMEOUT_MS": "60000",
            "ANIMA_GATEWAY_AVATAR_OPEN_TIMEOUT_MS": "300",
            "ANIMA_TTS_TARGET": "dns:///tts:3",
        }
    )
    llm = settings.stages["llm"]
    assert (llm.target, llm.fallback_target) == ("dns:///llm:1", "dns:///llm:2")
    assert llm.silence_ms == 60_000
    assert settings.stages["avatar"].open_ms == 300
    assert settings.stages["tts"].target == "dns:///tts:3"
    assert settings.options == {}


def test_the_general_time_to_open_leaves_that_of_the_face() -> None:
    settings = GatewaySettings.from_environment({"ANIMA_GATEWAY_OPEN_TIMEOUT_MS": "700"})
    assert (settings.stages["llm"].open_ms, settings.stages["avatar"].open_ms) == (700, 2_000)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ANIMA_GATEWAY_LLM_SILENCE_TIMEOUT_MS", "1"),
        ("ANIMA_GATEWAY_AVATAR_OPEN_TIMEOUT_MS", "soon"),
        ("ANIMA_GATEWAY_OPEN_TIMEOUT_MS", "5"),
    ],
)
def test_a_wrong_value_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}: .*'{value}'"):
        GatewaySettings.from_environment({variable: value})


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("ANIMA_GATEWAY_LLM_TARGET", "http://127.0.0.1:1", "leave http:// out"),
        ("ANIMA_GATEWAY_LLM_TARGET", "llm.example", "is not host:port"),
        ("ANIMA_GATEWAY_LLM_TARGET", "llm.example:99999", "is not host:port"),
        ("ANIMA_GATEWAY_TTS_FALLBACK_TARGET", "::1:50054", "needs brackets"),
    ],
)
def test_a_target_that_no_call_could_reach_is_refused(
    variable: str, value: str, problem: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}: .*{problem}"):
        GatewaySettings.from_environment({variable: value})


@pytest.mark.parametrize(
    "target", ["unix:/run/llm.sock", "ipv4:127.0.0.1:1,127.0.0.1:2", "[::1]:1", "llm:1"]
)
def test_targets_of_grpc_are_taken(target: str) -> None:
    settings = GatewaySettings.from_environment({"ANIMA_GATEWAY_LLM_TARGET": target})
    assert settings.stages["llm"].target == target


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(SettingsError, match="'voice' is not one of asr, llm"):
        GatewaySettings.from_environment({}, stages={"voice": {"target": "127.0.0.1:1"}})
