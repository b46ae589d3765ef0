"""What engines share that hold a model themselves: its folder, tokeniser, template and adapters."""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field

from services.llm.chat import Chat, build_chat
from services.llm.options import JsonObject, WritingOptions
from services.llm.prompt import Prompt
from services.llm.settings import LlmSettings
from services.runtime.errors import FailedPrecondition, NotFound
from services.runtime.settings import SettingsError

_TRIES: Final = 3


class LocalModelOptions(WritingOptions):
    """What engines with a model of their own read from `ANIMA_LLM_*`."""

    model: str = ""
    """A folder in the format of Hugging Face, or a name that its libraries find."""
    dtype: str = "auto"
    adapters_dir: Path | None = None
    """Each subfolder is a LoRA adapter in PEFT's format, by the name in `persona.toml`."""
    chat_template_kwargs: JsonObject = Field(default={"enable_thinking": False})
    """Arguments of the model's chat template."""

    @classmethod
    def of(cls, settings: LlmSettings) -> Self:
        """Reads the options.

        Raises:
            SettingsError: A value is wrong, or there is no model.
        """
        options = cls.read(settings.options)
        if not options.model:
            raise SettingsError("ANIMA_LLM_MODEL: set the folder of the model")
        if options.adapters_dir is not None and not options.adapters_dir.is_dir():
            raise SettingsError(f"ANIMA_LLM_ADAPTERS_DIR: {options.adapters_dir} is no folder")
        return options


def import_library(name: str) -> Any:
    """Imports the library of an engine that is no part of the default installation.

    Raises:
        SettingsError: It is not installed, or does not work here.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SettingsError(
            f"ANIMA_LLM_ENGINE: {error}; pip install 'anima[{name}]', on a CPU see docs/llm.md"
        ) from error


@dataclass(frozen=True, kw_only=True)
class AdapterVersion:
    """An adapter as it is on the disk now."""

    name: str
    folder: Path
    version: str
    """Changes with its files."""


def find_adapter(name: str, options: LocalModelOptions) -> AdapterVersion:
    """Finds the adapter of a persona.

    Raises:
        NotFound: There is none of that name.
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


class ChatTokeniser:
    """Turns prompts into the tokens that the model reads; not for several threads at once."""

    def __init__(self, tokeniser: Any, options: LocalModelOptions) -> None:
        """Wraps a tokeniser of the library transformers.

        Raises:
            FailedPrecondition: The model has no chat template.
        """
        if not getattr(tokeniser, "chat_template", None):
            raise FailedPrecondition(f"the model {options.model} has no chat template")
        self._tokeniser = tokeniser
        self._options = options

    def encode(self, prompt: Prompt) -> tuple[list[int], Chat]:
        """The tokens of a prompt's chat, cut to the context.

        Raises:
            FailedPrecondition: Not even persona and question fit.
        """
        most = self._options.prompt_tokens
        room = most
        for _ in range(_TRIES):
            chat = build_chat(prompt, max_tokens=room, count=self._count)
            tokens = self.encode_chat(chat)
            if len(tokens) <= most:
                return tokens, chat
            room -= len(tokens) - most
        raise FailedPrecondition(
            f"ANIMA_LLM_CONTEXT_TOKENS: {self._options.context_tokens} hold neither persona"
            " nor question"
        )

    def encode_chat(self, chat: Chat) -> list[int]:
        """The tokens of a chat, by the model's own template."""
        messages = [{"role": one.role.value, "content": one.text} for one in chat.messages]
        tokens: list[int] = self._tokeniser.apply_chat_template(
            messages,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=False,
            **self._options.chat_template_kwargs,
        )
        return tokens

    def _count(self, text: str) -> int:
        return len(self._tokeniser.encode(text, add_special_tokens=False))
