"""The engine `transformers`: the library of that name, for systems without vLLM."""

from services.llm.engines.transformers.engine import TransformersEngine

__all__ = ["TransformersEngine"]
