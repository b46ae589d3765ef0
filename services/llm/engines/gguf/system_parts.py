"""The system parts of prompts: computed once, kept in files, and loaded into any slot."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

from services.llm.engines.gguf.control import Control
from services.llm.prompt.chat import fixed_part, message_fields
from services.llm.prompt.prompt import Prompt
from services.runtime.errors import Unavailable
from services.runtime.observing.logs import get_logger

_KEPT: Final = 16
"""A file has the size of the keys and values of the part: with 500 tokens 6 MB for a model of half
a billion parameters, 70 MB for one of eight."""


class SystemParts:
    """Persona, rules and examples, which are the same for all users.

    Args:
        control: The server.
        folder: Where its process writes files.
        chat_template_kwargs: See `GgufOptions`.
    """

    def __init__(
        self, control: Control, folder: Path, chat_template_kwargs: dict[str, Any]
    ) -> None:
        self._control = control
        self._folder = folder
        self._kwargs = chat_template_kwargs
        self._names: OrderedDict[str, str] = OrderedDict()

    async def load(self, slot: int, prompt: Prompt) -> bool:
        """Makes a slot hold the system part of a prompt and nothing else.

        Returns:
            False if the model or its template does not support that; then the slot may hold
            anything, and nothing of it may be used.
        """
        key = self._key(prompt)
        name = self._names.get(key)
        try:
            if name is None:
                await self._compute(slot, prompt, key)
            else:
                self._names.move_to_end(key)
                await self._control.restore(slot, name)
        except Unavailable as error:
            get_logger().debug("system part not kept", why=error.message)
            return False
        return True

    def forget(self) -> None:
        """Forgets all parts: the process was started again, perhaps with another model."""
        for name in self._names.values():
            (self._folder / name).unlink(missing_ok=True)
        self._names.clear()

    async def _compute(self, slot: int, prompt: Prompt, key: str) -> None:
        await self._control.read(slot, fixed_part(prompt), prompt.tools, self._kwargs)
        name = f"{key}.kv"
        await self._control.save(slot, name)
        self._names[key] = name
        while len(self._names) > _KEPT:
            _, oldest = self._names.popitem(last=False)
            (self._folder / oldest).unlink(missing_ok=True)

    def _key(self, prompt: Prompt) -> str:
        part = {
            "messages": [message_fields(one, parsed=False) for one in fixed_part(prompt)],
            "tools": [tool.as_function() for tool in prompt.tools],
        }
        return hashlib.sha256(json.dumps(part).encode()).hexdigest()[:32]
