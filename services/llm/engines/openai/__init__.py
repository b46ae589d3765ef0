"""The engine `openai`: uses any server with an OpenAI-compatible chat completions API."""

from services.llm.engines.openai.engine import OpenAiEngine

__all__ = ["OpenAiEngine"]
