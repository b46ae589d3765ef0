"""The engine `vllm`: vLLM's own asynchronous engine in this process."""

from services.llm.engines.vllm.engine import VllmEngine

__all__ = ["VllmEngine"]
