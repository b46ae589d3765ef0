"""Computes vectors of texts with a sentence encoder in ONNX format, without torch."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from retrieval.model_files import (
    MODEL_FILE,
    ONE_BY_ONE_KEY,
    PACKED_FILE,
    PREFIX_KEY,
    TOKENIZER_FILE,
    WEIGHTS_SHA256_KEY,
)
from retrieval.packed_encoder import PackedEncoder
from retrieval.unigram import Unigram
from services.runtime.onnx import onnxruntime

_MAX_TOKENS = 256
_BATCH_SIZE = 16


class Embedder:
    """A sentence encoder, loaded from a folder. Thread-safe.

    It computes with one thread: a query takes a few milliseconds, and on a busy machine the
    synchronisation with a second thread costs more than it gains.
    """

    def __init__(self, folder: Path) -> None:
        """Loads the model.

        Args:
            folder: Contains `model.onnx`, and either `tokenizer.json` (`retrieval.minilm`) or
                packed weights with their vocabulary (`retrieval.e5`).

        Raises:
            FileNotFoundError: A file is missing; the text names it.
            ValueError: The file of the vocabulary is damaged.
        """
        is_packed = (folder / PACKED_FILE).is_file()
        for name in (MODEL_FILE,) if is_packed else (MODEL_FILE, TOKENIZER_FILE):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder / name} is missing")
        self._tokenizer: Tokenizer | None = None
        self._encode = _packed(folder) if is_packed else self._read_tokenizer(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(folder / MODEL_FILE), options, providers=["CPUExecutionProvider"]
        )
        self._dimensions = int(self._session.get_outputs()[0].shape[-1])
        properties = self._session.get_modelmeta().custom_metadata_map
        self._prefix = properties.get(PREFIX_KEY, "")
        self._batch_size = 1 if ONE_BY_ONE_KEY in properties else _BATCH_SIZE
        self._model_id = f"{folder.name}@{self._weights_sha256(folder)[:16]}"

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return self._dimensions

    @property
    def model_id(self) -> str:
        """Identifies the weights: vectors with different model ids must not be compared."""
        return self._model_id

    @property
    def tokenizer_json(self) -> str | None:
        """The tokenizer in the format of `tokenizers`, truncating at the model's window.

        None if that library would need too much memory for it.
        """
        return None if self._tokenizer is None else self._tokenizer.to_str()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns a vector of length 1 for each text.

        Args:
            texts: Any number of texts, including none; only the first 256 tokens of each are used.

        Returns:
            Shape [texts, dimensions].
        """
        vectors = np.empty((len(texts), self._dimensions), dtype=np.float32)
        # One by one: the library's batch call starts its own thread per core.
        encoded = [self._encode(self._prefix + text) for text in texts]
        # Texts of similar length share a batch, to minimise padding.
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index]))
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            vectors[batch] = self._run([encoded[index] for index in batch])
        return vectors

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Returns the vector of a question, shape [dimensions]; the same as for a text."""
        return np.asarray(self.embed([text])[0])

    def _read_tokenizer(self, folder: Path) -> Callable[[str], list[int]]:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        # The file enables padding to 128 tokens, which makes each query as slow as a long text.
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=_MAX_TOKENS)
        self._tokenizer = tokenizer
        return lambda text: list(tokenizer.encode(text).ids)

    def _run(self, batch: list[list[int]]) -> NDArray[np.float32]:
        longest = max(len(ids) for ids in batch)
        input_ids = np.zeros((len(batch), longest), dtype=np.int64)
        attention_mask = np.zeros((len(batch), longest), dtype=np.int64)
        for row, ids in enumerate(batch):
            input_ids[row, : len(ids)] = ids
            attention_mask[row, : len(ids)] = 1
        outputs = self._session.run(
            None, {"input_ids": input_ids, "attention_mask": attention_mask}
        )
        return np.asarray(outputs[0], dtype=np.float32)

    def _weights_sha256(self, folder: Path) -> str:
        recorded = self._session.get_modelmeta().custom_metadata_map.get(WEIGHTS_SHA256_KEY)
        if recorded:
            return str(recorded)
        with (folder / MODEL_FILE).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _packed(folder: Path) -> Callable[[str], list[int]]:
    with PackedEncoder(folder / PACKED_FILE) as packed:
        return Unigram(packed.vocabulary, max_tokens=_MAX_TOKENS).encode
