"""Code shared by engines that load a model themselves: options, library and adapters."""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from services.llm.options import WritingOptions
from services.llm.settings import LlmSettings
from services.runtime.config.settings import SettingsError
from services.runtime.engine_options import JsonObject
from services.runtime.errors import NotFound


class LocalModelOptions(WritingOptions):
    """The options of engines with a local model, read from `ANIMA_LLM_*`."""

    model: str = ""
    """A folder in the format of Hugging Face, or a name that its libraries find."""
    dtype: str = "auto"
    """The number format of the weights, such as "bfloat16"; "auto": that of the model."""
    adapters_dir: Path | None = None
    """A folder with a LoRA adapter in PEFT's format in each subfolder, whose name stands in
    `persona.toml`."""
    chat_template_kwargs: JsonObject = Field(default={"enable_thinking": False})
    """Arguments of the model's chat template."""

    @classmethod
    def of(cls, settings: LlmSettings) -> Self:
        """Reads the options.

        Raises:
            SettingsError: A value is invalid, or no model is set.
        """
        options = cls.read(settings)
        if not options.model:
            raise SettingsError("ANIMA_LLM_MODEL: set the folder of the model")
        if options.adapters_dir is not None and not options.adapters_dir.is_dir():
            raise SettingsError(f"ANIMA_LLM_ADAPTERS_DIR: {options.adapters_dir} is not a folder")
        return options


def import_library(name: str) -> Any:
    """Imports the library of an engine that is not part of the default installation.

    Raises:
        SettingsError: It is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SettingsError(
            f"ANIMA_LLM_ENGINE: {error}; pip install 'anima[{name}]', on a CPU see docs/llm.md"
        ) from error


@dataclass(frozen=True, kw_only=True)
class AdapterVersion:
    """The current version of an adapter on disk."""

    name: str
    folder: Path
    version: str
    """Changes when its files change."""


def find_adapter(name: str, options: LocalModelOptions) -> AdapterVersion:
    """Finds the adapter of a persona.

    Raises:
        NotFound: The adapter does not exist.
    """
    folder = options.adapters_dir and (options.adapters_dir / name).resolve()
    if not folder or not (folder / "adapter_config.json").is_file():
        raise NotFound(
            f"the adapter {name!r} of the persona is not in ANIMA_LLM_ADAPTERS_DIR",
            reason="ADAPTER",
            metadata={"adapter": name},
        )
    digest = hashlib.sha256(str(folder).encode())
    for path in sorted(folder.iterdir()):
        status = path.stat()
        digest.update(f"{path.name}:{status.st_size}:{status.st_mtime_ns};".encode())
    return AdapterVersion(name=name, folder=folder, version=digest.hexdigest()[:12])
