from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from services.llm.engines.local_model import LocalModelOptions, find_adapter, import_library
from services.llm.settings import LlmSettings
from services.runtime.config.settings import SettingsError
from services.runtime.engines import load_engine
from services.runtime.errors import NotFound


def settings_for(**options: str) -> LlmSettings:
    variables = {f"ANIMA_LLM_{name.upper()}": value for name, value in options.items()}
    return LlmSettings.from_environment(variables, listen="127.0.0.1:0")


@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_what_is_not_installed_is_told_with_the_remedy(engine: str) -> None:
    assert importlib.util.find_spec(engine) is None, "the default environment has no such library"
    with pytest.raises(SettingsError, match=rf"pip install 'anima\[{engine}\]'"):
        load_engine("llm", engine, settings_for(model="somewhere"))


def test_a_library_that_is_there_is_imported() -> None:
    assert import_library("json").loads("1") == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "ANIMA_LLM_MODEL"),
        ({"model": "m", "adapters_dir": "/nowhere/at/all"}, "ANIMA_LLM_ADAPTERS_DIR"),
        ({"model": "m", "context_tokens": "3"}, "ANIMA_LLM_CONTEXT_TOKENS"),
    ],
)
def test_wrong_options_name_the_variable(options: dict[str, str], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        LocalModelOptions.of(settings_for(**options))


def test_an_adapter_has_a_version_that_changes_with_its_files(tmp_path: Path) -> None:
    options = LocalModelOptions.of(settings_for(model="m", adapters_dir=str(tmp_path)))
    with pytest.raises(NotFound, match="calm"):
        find_adapter("calm", options)
    folder = tmp_path / "calm"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    first = find_adapter("calm", options)
    assert find_adapter("calm", options) == first
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    assert find_adapter("calm", options).version != first.version
