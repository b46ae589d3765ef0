"""The embedded engine `retrieval`: answers from what a persona, memory and history hold."""

from services.llm.engines.retrieval.engine import RetrievalEngine

__all__ = ["RetrievalEngine"]
