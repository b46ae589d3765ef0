"""The encoder that gives the memory's vectors."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from memory.settings import MemorySettings
from retrieval.embedding import Embedder
from services.runtime.errors import FailedPrecondition
from services.runtime.logs import get_logger
from services.runtime.model_store import ModelStore
from services.runtime.settings import SettingsError


class Encoder(Protocol):
    """Turns texts into vectors. Safe for threads."""

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        ...

    @property
    def model_id(self) -> str:
        """Names the weights: vectors with different model ids are never compared."""
        ...

    @property
    def tokenizer_json(self) -> str | None:
        """The tokenizer, by which texts are cut to the encoder's window; None: not known."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives a vector of length 1 for each text, shape [texts, dimensions]."""
        ...

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Gives the vector of a question, shape [dimensions]."""
        ...


def load_encoder(settings: MemorySettings) -> Encoder | None:
    """Loads the encoder of the settings; None, and a line in the log, if its files are missing.

    Raises:
        SettingsError: The files are broken, or there are no such embeddings.
    """
    if settings.embeddings:
        return _langchain(settings.embeddings)
    name = settings.embedding_model
    if name == "none":
        return None
    try:
        folder = ModelStore(settings.data_dir / "models").path(name)
    except FailedPrecondition as error:
        get_logger().warning("memory searches by words only", why=error.message)
        return None
    try:
        embedder = Embedder(folder)
        embedder.embed(["warm"])
    except Exception as error:  # the runtime raises its own classes for each way to be broken
        raise SettingsError(
            f"the model files in {folder} cannot be loaded: {error}; "
            f"remove the folder and run: anima models pull {name}"
        ) from error
    return embedder


def _langchain(name: str) -> Encoder:
    try:
        from memory.langchain.encoder import LangChainEncoder
    except ImportError as error:
        raise SettingsError(
            f"ANIMA_MEMORY_EMBEDDINGS: needs LangChain ({error}): pip install 'anima[langchain]'"
        ) from error
    return LangChainEncoder(name)
