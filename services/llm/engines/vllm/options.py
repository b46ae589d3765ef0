"""The settings of the engine `vllm`."""

from __future__ import annotations

import os
from typing import Any, Final

from pydantic import Field

from services.llm.engines.local_model import LocalModelOptions, import_library
from services.runtime.engine_options import JsonObject

_ENVIRONMENT: Final = {
    "TOKENIZERS_PARALLELISM": "false",
    # The scheduler and the model share one child process.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}
_CPU_ENVIRONMENT: Final = {"VLLM_CPU_OMP_THREADS_BIND": "nobind"}


class VllmOptions(LocalModelOptions):
    """The options of the engine `vllm`, read from `ANIMA_LLM_*`."""

    max_adapters: int = Field(default=4, ge=1, le=256)
    """How many adapters are loaded at the same time, old versions that are still in use
    included."""
    max_adapter_rank: int = Field(default=64, ge=1, le=512)
    """The largest rank of an adapter."""
    kv_cache_mb: int = Field(default=0, ge=0)
    """The memory for keys and values, MB; 0: vLLM chooses, on a GPU nearly all that is free."""
    tool_parser: str = ""
    """vLLM's name for the form in which the model calls tools; empty: no tools."""
    engine_args: JsonObject = Field(default={})
    """Further arguments of vLLM's `AsyncEngineArgs`."""

    def arguments(self, capacity: int) -> dict[str, Any]:
        """Returns the arguments for vLLM's engine.

        Args:
            capacity: The number of concurrent streams.
        """
        arguments: dict[str, Any] = {
            "model": self.model,
            "dtype": self.dtype,
            "max_model_len": self.context_tokens,
            "max_num_seqs": capacity,
            "enable_prefix_caching": True,
            # A model that keeps writing white space would never finish its JSON.
            "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        }
        if self.kv_cache_mb:
            arguments["kv_cache_memory_bytes"] = self.kv_cache_mb << 20
        if self.adapters_dir is not None:
            # One slot must stay free: on a CPU, rows without an adapter read the last slot
            # (vllm-project/vllm#48421, #49656) and would silently get the wrong words.
            arguments |= {
                "enable_lora": True,
                "max_loras": self.max_adapters + 1,
                "max_cpu_loras": self.max_adapters + 1,
                "max_lora_rank": self.max_adapter_rank,
            }
        return arguments | self.engine_args


def import_vllm() -> Any:
    """Sets the environment variables that vLLM reads on import, then imports it.

    Raises:
        SettingsError: It is not installed.
    """
    for name, value in (_ENVIRONMENT | _CPU_ENVIRONMENT).items():
        os.environ.setdefault(name, value)
    return import_library("vllm")


def leave_a_core() -> None:
    """Leaves one core free of a CPU engine, for the service itself and its clients.

    The engine's threads busy-wait for each other: one thread that has to share its core slows down
    all of them. vLLM advises to reserve a core and reads this variable when its process starts.
    """
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        allowed = getattr(os, "sched_getaffinity", None)  # not on macOS
        cores = len(allowed(0)) if allowed else os.cpu_count() or 1
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores - 1)))
