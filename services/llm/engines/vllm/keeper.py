"""Starts vLLM's engine, watches it and restarts it after its process died."""

from __future__ import annotations

import asyncio
import contextlib
from functools import cache
from typing import Any, Final

from services.llm.engines.revival import revive
from services.llm.engines.vllm.adapters import Adapters
from services.llm.engines.vllm.options import VllmOptions, import_vllm, leave_a_core
from services.llm.metrics import ENGINE_RESTARTS, ENGINE_UP
from services.runtime.engine import Report
from services.runtime.errors import Unavailable

_NAME: Final = "vllm"
_POLL_S: Final = 0.25
_SHUTDOWN_S: Final = 5.0


class EngineKeeper:
    """Holds the running engine."""

    def __init__(self, options: VllmOptions, capacity: int) -> None:
        self._options = options
        self._capacity = capacity
        self._engine: Any = None
        self._adapters: Adapters | None = None
        self._suspected = asyncio.Event()

    async def start(self) -> None:
        """Starts the engine. This takes seconds to minutes and does not block the event loop."""
        self._engine = await asyncio.to_thread(self._make)
        self._adapters = Adapters(self._engine, self._options)
        ENGINE_UP.labels(_NAME).set(1)

    async def stop(self) -> None:
        """Stops the engine and its process."""
        engine, self._engine = self._engine, None
        ENGINE_UP.labels(_NAME).set(0)
        if engine is not None:
            await asyncio.to_thread(engine.shutdown, _SHUTDOWN_S)

    def living(self) -> tuple[Any, Adapters]:
        """Returns the engine and its adapters.

        Raises:
            Unavailable: The engine is not running.
        """
        if self._engine is None or self._adapters is None or self._engine.errored:
            self._suspected.set()
            raise Unavailable("the engine is being restarted; try again", reason="ENGINE_DOWN")
        return self._engine, self._adapters

    def suspect(self) -> None:
        """Makes the watch check at once."""
        self._suspected.set()

    async def watch(self, report: Report) -> None:
        """Restarts the engine whenever it has died, and reports death and recovery."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._suspected.wait(), _POLL_S)
            self._suspected.clear()
            if self._engine is not None and not self._engine.errored:
                continue
            ENGINE_UP.labels(_NAME).set(0)
            await report("the engine has died and is being restarted; try again")
            await revive(self._restart)
            ENGINE_RESTARTS.labels(_NAME).inc()
            await report("")

    async def _restart(self) -> None:
        await self.stop()
        await self.start()

    def _make(self) -> Any:
        vllm = import_vllm()
        leave_a_core()
        arguments = vllm.AsyncEngineArgs(**self._options.arguments(self._capacity))
        engine = _engine_class().from_engine_args(arguments)
        vllm.envs.enable_envs_cache()  # otherwise the environment is read for each token
        return engine


@cache
def _engine_class() -> Any:
    """Returns vLLM's engine class without its `__del__`.

    `__del__` shuts an engine down again at interpreter exit, when its modules are gone, and
    prints a TypeError. Here `stop` shuts down every engine.
    """
    from vllm.v1.engine.async_llm import AsyncLLM

    class Engine(AsyncLLM):  # type: ignore[misc]
        def __del__(self) -> None:
            return

    return Engine
