"""The embedded engine `retrieval`: answers from persona, memory and history."""

from services.llm.engines.retrieval.engine import RetrievalEngine

__all__ = ["RetrievalEngine"]
