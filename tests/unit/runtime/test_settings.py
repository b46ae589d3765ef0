"""Settings: the sources of values, and the errors for invalid ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.settings import GatewaySettings
from memory.settings import MemorySettings
from services.runtime.config.settings import CHECKOUT, ServiceSettings, SettingsError, is_loopback


class ToneSettings(ServiceSettings):
    """Settings of a stage with a field of its own."""

    stage = "tone"
    default_port = 50998

    engine: str = "sine"
    voices: tuple[str, ...] = ()


def test_defaults() -> None:
    settings = ToneSettings.from_environment({})
    assert settings.listen == "127.0.0.1:50998"
    assert settings.token is None
    assert settings.engine == "sine"
    assert settings.data_dir.name == "anima"
    assert settings.personas_dir == CHECKOUT / "personas"
    assert settings.options == {}


def test_variable_of_the_stage_wins_over_the_general_one() -> None:
    environment = {
        "ANIMA_TONE_CAPACITY": "3",
        "ANIMA_CAPACITY": "9",
        "ANIMA_DRAIN_TIMEOUT_S": "2.5",
    }
    settings = ToneSettings.from_environment(environment)
    assert settings.capacity == 3
    assert settings.drain_timeout_s == 2.5


def test_empty_variable_counts_as_not_set() -> None:
    environment = {"ANIMA_TONE_CAPACITY": "", "ANIMA_CAPACITY": "9", "ANIMA_TONE_COLOUR": ""}
    settings = ToneSettings.from_environment(environment)
    assert settings.capacity == 9
    assert settings.options == {}


def test_overrides_win() -> None:
    settings = ToneSettings.from_environment({"ANIMA_LISTEN": "127.0.0.1:1"}, listen="127.0.0.1:2")
    assert settings.listen == "127.0.0.1:2"


def test_other_variables_of_the_stage_are_options() -> None:
    environment = {"ANIMA_TONE_BASE_URL": "http://x", "ANIMA_OTHER": "y", "ANIMA_ASR_MODEL": "z"}
    assert ToneSettings.from_environment(environment).options == {"base_url": "http://x"}


def test_several_values_are_split_at_commas() -> None:
    settings = ToneSettings.from_environment({"ANIMA_TONE_VOICES": "a, b,"})
    assert settings.voices == ("a", "b")


def test_settings_are_frozen_and_know_their_fields() -> None:
    settings = ToneSettings.from_environment({})
    with pytest.raises(ValidationError):
        settings.capacity = 5
    with pytest.raises(SettingsError, match="colour"):
        ToneSettings.from_environment({}, colour="red")


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"ANIMA_TONE_CAPACITY": "many"}, "ANIMA_TONE_CAPACITY: .*'many'"),
        ({"ANIMA_CAPACITY": "0"}, "ANIMA_CAPACITY: .*greater than or equal to 1.*'0'"),
        ({"ANIMA_DRAIN_TIMEOUT_S": "nan"}, "ANIMA_DRAIN_TIMEOUT_S: "),
        ({"ANIMA_TONE_REFLECTION": "perhaps"}, "ANIMA_TONE_REFLECTION: .*'perhaps'"),
        ({"ANIMA_LOG_FORMAT": "xml"}, "ANIMA_LOG_FORMAT: .*'json' or 'text'"),
        ({"ANIMA_TONE_LISTEN": "nowhere"}, "ANIMA_TONE_LISTEN: 'nowhere' is not host:port"),
        ({"ANIMA_LISTEN": "127.0.0.1:70000"}, "ANIMA_LISTEN: '127.0.0.1:70000' is not host:port"),
        ({"ANIMA_LISTEN": "::1:50051"}, r"ANIMA_LISTEN: .*needs brackets: \[::1\]:50051"),
        ({"ANIMA_LISTEN": "127.0.0.1:٣"}, "ANIMA_LISTEN: '127.0.0.1:٣' is not host:port"),
        ({"ANIMA_METRICS_LISTEN": "9000"}, "ANIMA_METRICS_LISTEN: '9000' is not host:port"),
        (
            {"ANIMA_LISTEN": "0.0.0.0:50051"},
            "ANIMA_LISTEN: .*set ANIMA_TOKEN, ANIMA_IDENTITY",
        ),
        ({"ANIMA_LISTEN": "[::]:50051"}, "set ANIMA_TOKEN"),
        ({"ANIMA_LISTEN": "example.org:50051"}, "set ANIMA_TOKEN"),
        ({"ANIMA_TOKEN_FILE": "/nowhere/token"}, "ANIMA_TOKEN_FILE: /nowhere/token cannot be read"),
        ({"ANIMA_TOKEN": "Schlüssel"}, "ANIMA_TOKEN: only printable ASCII"),
    ],
)
def test_wrong_value_names_its_variable(environment: dict[str, str], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        ToneSettings.from_environment(environment)


def test_the_memory_refuses_a_wrong_target() -> None:
    with pytest.raises(SettingsError, match=r"^ANIMA_MEMORY_LLM_TARGET: .*leave http:// out"):
        MemorySettings.from_environment({"ANIMA_MEMORY_LLM_TARGET": "http://127.0.0.1:1"})
    assert MemorySettings.from_environment({}).llm_target == ""


def test_several_faults_are_told_together() -> None:
    with pytest.raises(SettingsError, match=r"ANIMA_CAPACITY: .*; ANIMA_TONE_REFLECTION: "):
        ToneSettings.from_environment({"ANIMA_CAPACITY": "x", "ANIMA_TONE_REFLECTION": "maybe"})


def test_token_is_read_from_its_file_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("swordfish\n")
    settings = ToneSettings.from_environment(
        {"ANIMA_TOKEN_FILE": str(path), "ANIMA_LISTEN": "0.0.0.0:0"}
    )
    assert settings.token == "swordfish"
    assert "swordfish" not in repr(settings) + str(settings)
    with pytest.raises(SettingsError, match="both set") as caught:
        ToneSettings.from_environment({"ANIMA_TOKEN_FILE": str(path), "ANIMA_TOKEN": "swordfish"})
    assert "swordfish" not in str(caught.value)
    path.write_text(" \n")
    with pytest.raises(SettingsError, match="is empty"):
        ToneSettings.from_environment({"ANIMA_TOKEN_FILE": str(path)})


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.8.9.1:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("192.168.1.4:1", False),
        ("127.0.0.1.example.org:1", False),
    ],
)
def test_loopback(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback


def test_a_wrong_secret_is_not_repeated_in_the_error() -> None:
    servers = '[{"urls": "stun:example.org", "credential": "swordfish"'
    with pytest.raises(SettingsError, match="ANIMA_GATEWAY_ICE_SERVERS: ") as caught:
        GatewaySettings.from_environment({"ANIMA_GATEWAY_ICE_SERVERS": servers})
    assert "swordfish" not in str(caught.value)
