"""Unknown variables are rejected with the nearest name; variables of others are ignored."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints, entry_points

import pytest

from gateway.settings import GatewaySettings
from memory.settings import MemorySettings
from services.avatar.settings import AvatarSettings
from services.llm.settings import LlmSettings
from services.runtime import engines
from services.runtime.config.known_variables import installed_settings, refuse_unknown
from services.runtime.config.settings import ServiceSettings, SettingsError
from services.runtime.config.variables import is_service_link
from services.runtime.engines import load_engine
from services.tts.settings import TtsSettings

ALL = (GatewaySettings, LlmSettings, MemorySettings, TtsSettings, AvatarSettings)
SERVICE_LINKS = {
    "ANIMA_LLM_PORT": "tcp://10.96.0.7:50052",
    "ANIMA_LLM_PORT_50052_TCP": "tcp://10.96.0.7:50052",
    "ANIMA_LLM_PORT_50052_TCP_PROTO": "tcp",
    "ANIMA_LLM_PORT_50052_TCP_PORT": "50052",
    "ANIMA_LLM_PORT_50052_TCP_ADDR": "10.96.0.7",
    "ANIMA_LLM_SERVICE_HOST": "10.96.0.7",
    "ANIMA_LLM_SERVICE_PORT": "50052",
    "ANIMA_LLM_SERVICE_PORT_GRPC": "50052",
    "ANIMA_GATEWAY_WEBRTC_PORT_3478_UDP_ADDR": "10.96.0.9",
    "ANIMA_PORT": "udp://10.96.0.1:3478",
    "ANIMA_SERVICE_HOST": "10.96.0.1",
}


def test_every_service_of_this_package_is_installed() -> None:
    found = installed_settings()
    assert sorted(found) == ["asr", "avatar", "gateway", "llm", "memory", "tts"]
    assert all(model.stage == stage for stage, model in found.items())


@pytest.mark.parametrize(
    ("model", "name", "advice"),
    [
        (GatewaySettings, "ANIMA_GATEWAY_LEED_MS", "did you mean ANIMA_GATEWAY_LEAD_MS?"),
        (GatewaySettings, "ANIMA_GATEWAY_LLM_TARGT", "did you mean ANIMA_GATEWAY_LLM_TARGET?"),
        (GatewaySettings, "ANIMA_GATWAY_LEAD_MS", "did you mean ANIMA_GATEWAY_LEAD_MS?"),
        (GatewaySettings, "ANIMA_PERSONA_DIR", "did you mean ANIMA_PERSONAS_DIR?"),
        (GatewaySettings, "ANIMA_LOGFORMAT", "did you mean ANIMA_LOG_FORMAT?"),
        (GatewaySettings, "anima_gateway_lead_ms", "did you mean ANIMA_GATEWAY_LEAD_MS?"),
        (GatewaySettings, "ANIMA_XYZZY", "remove it"),
        (GatewaySettings, "ANIMA_GATEWAY_PORT", ""),
        (LlmSettings, "ANIMA_LLM_TEMPRATURE", "did you mean ANIMA_LLM_TEMPERATURE?"),
        (LlmSettings, "ANIMA_LLM_ENGIN", "did you mean ANIMA_LLM_ENGINE?"),
        (AvatarSettings, "ANIMA_AVATAR_CLICK_LEVELS", "did you mean ANIMA_AVATAR_CLICK_LEVEL?"),
        (TtsSettings, "ANIMA_TTS_TEMPERATURE", ""),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(
    model: type[ServiceSettings], name: str, advice: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is not a setting; ") as caught:
        refuse_unknown(model, {name: "5", "PATH": "/bin"})
    assert advice in str(caught.value)


@pytest.mark.parametrize("model", ALL)
def test_what_others_read_is_left_alone(model: type[ServiceSettings]) -> None:
    refuse_unknown(
        model,
        {
            "ANIMA_CAPACITY": "5",
            "ANIMA_GATEWAY_LEAD_MS": "5",
            "ANIMA_LEAD_MS": "5",  # the general form of a setting of one service
            "ANIMA_AVATARS_DIR": "/a",
            "ANIMA_LLM_TEMPERATURE": "0",
            "ANIMA_ASR_MISSPELT_AND_REFUSED_BY_ASR_ITSELF": "0",
            "ANIMA_AVATAR_CLICK_LEVEL": "5",
            "ANIMA_GATEWAY": "127.0.0.1:1",
            "ANIMA_REQUIRE_ALL": "1",
            "ANIMA_EMPTY_AND_UNKNOWN": "",
            "anima_of_another_program": "1",
            "ANIMATION": "on",
        },
    )


@pytest.mark.parametrize("model", ALL)
def test_service_links_of_kubernetes_are_ignored(model: type[ServiceSettings]) -> None:
    refuse_unknown(model, SERVICE_LINKS)
    assert model.from_environment(SERVICE_LINKS).options == {}


def test_a_setting_is_never_taken_for_a_service_link() -> None:
    for model in installed_settings().values():
        for setting in model.variables():
            for value in ("50051", "tcp://10.0.0.1:1", "text"):
                assert not is_service_link(f"ANIMA_{setting.upper()}", value)


def test_what_looks_like_a_service_link_but_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="ANIMA_LLM_PORT is not a setting"):
        refuse_unknown(LlmSettings, {"ANIMA_LLM_PORT": "50052"})


def test_all_unknown_names_are_reported_together_without_values() -> None:
    with pytest.raises(SettingsError) as caught:
        refuse_unknown(GatewaySettings, {"ANIMA_TOKEN_FIEL": "s3cret", "ANIMA_TOKN": "s3cret"})
    assert "ANIMA_TOKEN_FIEL" in str(caught.value)
    assert "did you mean ANIMA_TOKEN?" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_nothing_is_imported_for_an_environment_that_is_right() -> None:
    code = (
        "import os, sys; from services.asr.settings import AsrSettings;"
        "from services.runtime.config.known_variables import refuse_unknown;"
        "refuse_unknown(AsrSettings, os.environ);"
        "print([name for name in sys.modules if name.startswith(('gateway', 'memory'))])"
    )
    plain = {k: v for k, v in os.environ.items() if not k.startswith("ANIMA_")}
    wanted = {"ANIMA_ASR_CAPACITY": "2", "ANIMA_LLM_MODEL": "m", "ANIMA_GATEWAY_LEAD_MS": "3"}
    answer = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=plain | wanted,
    )
    assert answer.stdout.strip() == "[]"


def test_without_metadata_only_the_own_variables_are_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nothing = entry_points(group="anima.nothing")
    monkeypatch.setattr(
        "services.runtime.config.known_variables.entry_points", lambda group: nothing
    )
    refuse_unknown(GatewaySettings, {"ANIMA_LLM_ENGINE": "x", "ANIMA_AVATARS_DIR": "/a"})
    with pytest.raises(SettingsError, match="ANIMA_GATEWAY_LEED_MS"):
        refuse_unknown(GatewaySettings, {"ANIMA_GATEWAY_LEED_MS": "1"})


def test_options_of_an_engine_that_cannot_be_imported_are_left_to_its_own_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = EntryPoints([EntryPoint("broken", "nowhere.at_all:Engine", "anima.tts.engines")])
    monkeypatch.setattr(engines, "entry_points", lambda group: broken.select(group=group))
    variables = {"ANIMA_TTS_ENGINE": "broken", "ANIMA_TTS_PITCH": "3"}
    refuse_unknown(TtsSettings, variables)
    with pytest.raises(SettingsError, match="'broken' cannot be imported: No module named"):
        load_engine("tts", "broken", TtsSettings.from_environment(variables))
    with pytest.raises(SettingsError, match="ANIMA_TOKN is not a setting"):
        refuse_unknown(TtsSettings, variables | {"ANIMA_TOKN": "t"})
