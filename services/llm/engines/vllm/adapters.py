"""LoRA adapters that are loaded while the engine runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from services.llm.engines.local_model import AdapterVersion, find_adapter
from services.llm.engines.vllm.options import VllmOptions
from services.runtime.errors import Busy, FailedPrecondition
from services.runtime.observing.logs import get_logger


@dataclass
class _Loaded:
    """An adapter loaded in the engine, and how many answers use it."""

    found: AdapterVersion
    request: Any
    users: int = 0


class Adapters:
    """The adapters of one engine, each identified by name, version and a unique number.

    A changed file makes a new adapter: the engine's prefix cache identifies adapters only by name
    and path, and would otherwise reuse keys and values of the old one.
    """

    def __init__(self, engine: Any, options: VllmOptions) -> None:
        self._engine = engine
        self._options = options
        self._loaded: dict[str, _Loaded] = {}
        self._number = 0
        self._loading = asyncio.Lock()

    @asynccontextmanager
    async def use(self, name: str) -> AsyncIterator[Any]:
        """Keeps an adapter loaded for the body; yields vLLM's `LoRARequest`, None for no name.

        Raises:
            NotFound: The adapter does not exist.
            FailedPrecondition: The adapter is incompatible with the model.
            Busy: All slots hold adapters that are in use.
        """
        if not name:
            yield None
            return
        loaded = await self._load(await asyncio.to_thread(find_adapter, name, self._options))
        loaded.users += 1
        try:
            yield loaded.request
        finally:
            loaded.users -= 1

    async def _load(self, found: AdapterVersion) -> _Loaded:
        key = f"{found.name}@{found.version}"
        async with self._loading:
            if key in self._loaded:
                return self._loaded[key]
            await self._make_room(found.name)
            self._number += 1
            request = _lora_request(key, self._number, str(found.folder))
            try:
                # An incompatible adapter passed to `generate` unchecked would kill the engine.
                await self._engine.add_lora(request)
            except Exception as error:
                get_logger().warning("adapter rejected", adapter=key, why=str(error))
                raise FailedPrecondition(
                    f"the adapter {found.name!r} cannot be used with the model: {error}",
                    reason="ADAPTER",
                ) from error
            self._loaded[key] = _Loaded(found=found, request=request)
            get_logger().info("adapter loaded", adapter=key)
            return self._loaded[key]

    async def _make_room(self, name: str) -> None:
        """Removes unused old versions, then other unused adapters, until a slot is free."""
        unused = [(key, one) for key, one in self._loaded.items() if not one.users]
        unused.sort(key=lambda item: item[1].found.name != name)
        for key, one in unused:
            full = len(self._loaded) >= self._options.max_adapters
            if one.found.name != name and not full:
                return
            await self._engine.remove_lora(one.request.lora_int_id)
            del self._loaded[key]
        if len(self._loaded) >= self._options.max_adapters:
            raise Busy("all slots for adapters are in use: ANIMA_LLM_MAX_ADAPTERS")


def _lora_request(name: str, number: int, path: str) -> Any:
    from vllm.lora.request import LoRARequest

    return LoRARequest(lora_name=name, lora_int_id=number, lora_path=path)
