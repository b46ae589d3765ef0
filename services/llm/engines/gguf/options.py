"""The settings of the engine `gguf`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final, Self

from pydantic import Field

from services.llm.options import WritingOptions
from services.llm.settings import LlmSettings
from services.runtime.config.settings import SettingsError
from services.runtime.engine_options import JsonObject
from services.runtime.errors import FailedPrecondition

LIBRARY: Final = "xllamacpp"
_MAGIC: Final = b"GGUF"


class GgufOptions(WritingOptions):
    """The options of the engine `gguf`, read from `ANIMA_LLM_*`."""

    model: str = ""
    """The path of a model file in the format GGUF; of a model in several files the first."""
    vision_model: str = ""
    """The path of the part of a multimodal model that sees, often named `mmproj-*.gguf`; empty: the
    model sees no pictures."""
    context_tokens: int = Field(default=4_096, ge=256, le=10_000_000)
    """How many tokens the model can read and write in one answer. The memory for their keys and
    values is taken at start, for each slot."""
    slots: int = Field(default=2, ge=1, le=256)
    """How many answers the model writes at the same time; others wait for a slot. A slot also keeps
    the prompt of its last conversation, so that the next question costs only its own tokens."""
    threads: int = Field(default=1, ge=1, le=256)
    """CPU threads of the model. More than one helps only if cores are idle: the threads wait for
    each other busily, and one on a shared core slows down all."""
    gpu_layers: int = Field(default=-1, ge=-1, le=10_000)
    """How many layers are computed on a GPU, if the installed library supports one; -1: all."""
    chat_template_kwargs: JsonObject = Field(default={"enable_thinking": False})
    """Arguments of the model's chat template."""
    load_timeout_s: float = Field(default=300, gt=0, le=3600)
    """The maximum time to load the model."""
    first_token_timeout_s: float = Field(default=120, gt=0, le=3600)
    """The maximum time from the request to the first event; reading a long prompt takes long on a
    slow machine."""
    between_tokens_timeout_s: float = Field(default=30, gt=0, le=600)
    """The maximum time between two events."""

    @classmethod
    def of(cls, settings: LlmSettings) -> Self:
        """Reads the options.

        Raises:
            SettingsError: A value is invalid, no model is set, or the library is not installed.
        """
        options = cls.read(settings)
        if not options.model:
            raise SettingsError("ANIMA_LLM_MODEL: set the path of a model file (*.gguf)")
        if importlib.util.find_spec(LIBRARY) is None:
            raise SettingsError(
                f"ANIMA_LLM_ENGINE: {LIBRARY} is not installed; pip install 'anima[gguf]'"
            )
        return options

    def file(self) -> Path:
        """Returns the path of the model file.

        Raises:
            FailedPrecondition: It does not exist, cannot be read, or is no GGUF file.
        """
        return _checked("ANIMA_LLM_MODEL", self.model)

    def vision_file(self) -> Path | None:
        """Returns the path of the part that sees; None if there is none.

        Raises:
            FailedPrecondition: It does not exist, cannot be read, or is no GGUF file.
        """
        return _checked("ANIMA_LLM_VISION_MODEL", self.vision_model) if self.vision_model else None


def _checked(variable: str, value: str) -> Path:
    path = Path(value).expanduser()
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise FailedPrecondition(
            f"{variable}: {path}: {error.strerror or error}", reason="MODEL"
        ) from None
    if start != _MAGIC:
        raise FailedPrecondition(
            f"{variable}: {path} is no GGUF file: it begins with {start!r}",
            reason="MODEL",
        )
    return path.resolve()
