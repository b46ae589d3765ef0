"""One user's memory for LangChain: a vector store and a retriever; also the reverse, an encoder.

Needs the extra `langchain`. It installs langsmith, which sends no traces unless LANGSMITH_TRACING
is set.
"""

from memory.langchain.retriever import AnimaRetriever
from memory.langchain.vectorstore import AnimaVectorStore

__all__ = ["AnimaRetriever", "AnimaVectorStore"]
