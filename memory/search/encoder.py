"""The encoder that computes the memory's vectors."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from memory.settings import MemorySettings
from retrieval.embedding import Embedder
from retrieval.encoders import installed_encoder
from services.runtime.config.settings import SettingsError
from services.runtime.errors import FailedPrecondition
from services.runtime.models.loading import load_fault
from services.runtime.models.store import ModelStore
from services.runtime.observing.logs import get_logger


class Encoder(Protocol):
    """Converts texts to vectors. Thread-safe."""

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        ...

    @property
    def model_id(self) -> str:
        """Identifies the weights: vectors with different model ids are never compared."""
        ...

    @property
    def tokenizer_json(self) -> str | None:
        """The tokenizer used to cut texts to the encoder's window; None if it is unknown."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns a unit vector for each text, shape [texts, dimensions]."""
        ...

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Returns the vector of a question, shape [dimensions]."""
        ...


class QueryVectors:
    """Computes the vectors of questions and caches the most recent ones.

    One recall needs the vector of its question several times: for the selector, the search of the
    person's items and the search of each knowledge base. Thread-safe.
    """

    _KEPT = 64

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return self._encoder.dimensions

    @property
    def model_id(self) -> str:
        """Identifies the weights."""
        return self._encoder.model_id

    @property
    def tokenizer_json(self) -> str | None:
        """The tokenizer used to cut texts to the encoder's window; None if it is unknown."""
        return self._encoder.tokenizer_json

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns a unit vector for each text, shape [texts, dimensions]."""
        return self._encoder.embed(texts)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Returns the vector of a question, shape [dimensions]; callers must not modify it."""
        with self._lock:
            vector = self._vectors.get(text)
        if vector is None:
            vector = self._encoder.embed_query(text)
            with self._lock:
                self._vectors[text] = vector
                while len(self._vectors) > self._KEPT:
                    self._vectors.popitem(last=False)
        return vector


def load_encoder(settings: MemorySettings) -> Encoder | None:
    """Loads the encoder of the settings; None, with a warning, if its files are missing.

    Raises:
        SettingsError: The files are damaged, memory is short, or there are no such embeddings.
    """
    if settings.embeddings:
        return _langchain(settings.embeddings)
    name = settings.embedding_model
    if name == "none":
        return None
    try:
        name, folder = installed_encoder(ModelStore(settings.data_dir / "models"), name)
    except FailedPrecondition as error:
        get_logger().warning("memory searches by words only", why=error.message)
        return None
    try:
        embedder = Embedder(folder)
        embedder.embed(["warm"])
    except Exception as error:  # the runtime has its own exception for each kind of damage
        raise load_fault(name, folder, error) from error
    return embedder


def _langchain(name: str) -> Encoder:
    try:
        from memory.langchain.encoder import LangChainEncoder
    except ImportError as error:
        raise SettingsError(
            f"ANIMA_MEMORY_EMBEDDINGS: needs LangChain ({error}): pip install 'anima[langchain]'"
        ) from error
    return LangChainEncoder(name)
