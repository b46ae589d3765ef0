"""The engine `openai`: any server that speaks OpenAI's chat completions."""

from services.llm.engines.openai.engine import OpenAiEngine

__all__ = ["OpenAiEngine"]
