"""Uses any LangChain `Embeddings` as the memory's encoder."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Final

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from services.runtime.config.settings import SettingsError
from services.runtime.errors import InternalError

VARIABLE: Final = "ANIMA_MEMORY_EMBEDDINGS"
_MODEL_NAMES: Final = ("model", "model_name", "model_id", "deployment")


class LangChainEncoder:
    """Vectors of LangChain embeddings, normalised to length 1.

    Thread-safe if the embeddings are. The model id consists of their name in the settings, the
    model
    that they report, and the length of a vector: when one of these changes, everything is embedded
    again, and earlier vectors are never compared.
    """

    tokenizer_json: str | None = None
    """Unknown; passages are split by characters."""

    def __init__(self, name: str) -> None:
        """Creates the embeddings and tests them.

        Args:
            name: "module:attribute", the embeddings or a callable without arguments that makes
                them.

        Raises:
            SettingsError: There are no such embeddings, or they do not work.
        """
        self._name = name
        self._embeddings = _made(name)
        try:
            vector = self._embeddings.embed_query("warm")
        except Exception as error:  # each library has its own exceptions
            raise SettingsError(f"{VARIABLE}: {name} does not work: {error}") from error
        self._dimensions = len(vector)
        if not self._dimensions:
            raise SettingsError(f"{VARIABLE}: {name} returns empty vectors")
        models = (getattr(self._embeddings, attribute, None) for attribute in _MODEL_NAMES)
        model = next((one for one in models if isinstance(one, str) and one), "")
        self._model_id = "/".join(part for part in (name, model, str(self._dimensions)) if part)

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return self._dimensions

    @property
    def model_id(self) -> str:
        """Identifies the embeddings: vectors with different model ids must not be compared."""
        return self._model_id

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns a unit vector for each text, shape [texts, dimensions].

        Raises:
            InternalError: The embeddings failed, or their vectors differ in length from the start.
        """
        if not texts:
            return np.zeros((0, self._dimensions), dtype=np.float32)
        try:
            return self._checked(self._embeddings.embed_documents(list(texts)), len(texts))
        except InternalError:
            raise
        except Exception as error:  # each library has its own exceptions
            raise InternalError(f"the embeddings {self._name} failed: {error}") from error

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Returns the vector of a question, shape [dimensions]; some models embed them differently.

        Raises:
            InternalError: The embeddings failed, or their vector differs in length from the start.
        """
        try:
            return np.asarray(self._checked([self._embeddings.embed_query(text)], 1)[0])
        except InternalError:
            raise
        except Exception as error:  # each library has its own exceptions
            raise InternalError(f"the embeddings {self._name} failed: {error}") from error

    def _checked(self, given: Sequence[Sequence[float]], count: int) -> NDArray[np.float32]:
        lengths = {len(vector) for vector in given}
        if len(given) != count or lengths != {self._dimensions}:
            raise InternalError(
                f"the embeddings {self._name} must return {count} vectors of length"
                f" {self._dimensions}, got {len(given)} of {sorted(lengths)}: vectors of two models"
                " cannot be mixed; restart the memory service with one model"
            )
        vectors = np.array(given, dtype=np.float32)
        if not np.isfinite(vectors).all():
            raise InternalError(f"the embeddings {self._name} returned values that are not numbers")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(norms > 0, norms, 1), dtype=np.float32)


def _made(name: str) -> Embeddings:
    module_name, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module_name), attribute)
        made = found if isinstance(found, Embeddings) else found()
    except Exception as error:  # any exception of the import
        raise SettingsError(f"{VARIABLE}: {name} cannot be loaded: {error}") from error
    if not isinstance(made, Embeddings):
        raise SettingsError(f"{VARIABLE}: {name} must be LangChain Embeddings, got {type(made)}")
    return made
