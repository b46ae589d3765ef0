"""The engine `transformers`: the library of that name, for those without vLLM."""

from services.llm.engines.transformers.engine import TransformersEngine

__all__ = ["TransformersEngine"]
