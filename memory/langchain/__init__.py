"""One user's memory for LangChain: a vector store, a retriever, and the other way round.

Needs the extra `langchain`. It brings langsmith, which sends traces nowhere unless
LANGSMITH_TRACING is set.
"""

from memory.langchain.retriever import AnimaRetriever
from memory.langchain.vectorstore import AnimaVectorStore

__all__ = ["AnimaRetriever", "AnimaVectorStore"]
