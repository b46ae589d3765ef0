"""A BERT encoder with random weights in the genuine file format, and its forward pass in numpy."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

Weights = dict[str, NDArray[np.float32]]

CONFIG: dict[str, Any] = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 256,
    "vocab_size": 40,
}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def write_tiny_bert(folder: Path, seed: int = 0) -> Weights:
    """Writes `config.json`, `model.safetensors` and `tokenizer.json`; returns the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    weights = _random_weights(np.random.default_rng(seed))
    save_file(weights, folder / "model.safetensors")
    _tokenizer().save(str(folder / "tokenizer.json"))
    return weights


def _tokenizer() -> Tokenizer:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *_LETTERS, "dog", "cat", "##s"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    # The published file asks for padding too; the embedder must not follow it.
    tokenizer.enable_padding(length=128)
    return tokenizer


def _random_weights(random: np.random.Generator) -> Weights:
    hidden, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (CONFIG["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": (CONFIG["max_position_embeddings"], hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
        "embeddings.LayerNorm.weight": (hidden,),
        "embeddings.LayerNorm.bias": (hidden,),
    }
    for layer in range(CONFIG["num_hidden_layers"]):
        name = f"encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes[f"{name}.attention.{part}.weight"] = (hidden, hidden)
            shapes[f"{name}.attention.{part}.bias"] = (hidden,)
        shapes[f"{name}.intermediate.dense.weight"] = (inner, hidden)
        shapes[f"{name}.intermediate.dense.bias"] = (inner,)
        shapes[f"{name}.output.dense.weight"] = (hidden, inner)
        shapes[f"{name}.output.dense.bias"] = (hidden,)
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"{name}.{part}.weight"] = (hidden,)
            shapes[f"{name}.{part}.bias"] = (hidden,)
    return {name: random.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


class NumpyBert:
    """The forward pass of one text at a time, in 64 bits, written independently of the graph."""

    def __init__(self, weights: Weights, *, layers: int, heads: int, epsilon: float) -> None:
        self._weights = {name: value.astype(np.float64) for name, value in weights.items()}
        self._layers, self._heads, self._epsilon = layers, heads, epsilon

    def embed(self, ids: list[int]) -> NDArray[np.float64]:
        """Returns the vector of length 1 of a text, shape [hidden_size]."""
        weights = self._weights
        hidden = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][: len(ids)]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = self._norm("embeddings.LayerNorm", hidden)
        for layer in range(self._layers):
            hidden = self._layer(f"encoder.layer.{layer}", hidden)
        mean = hidden.mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean))

    def _layer(self, name: str, hidden: NDArray[np.float64]) -> NDArray[np.float64]:
        size = hidden.shape[1] // self._heads
        query, key, value = (
            self._dense(f"{name}.attention.self.{part}", hidden)
            for part in ("query", "key", "value")
        )
        attended = np.empty_like(hidden)
        for head in range(self._heads):
            part = slice(head * size, (head + 1) * size)
            scores = np.exp(query[:, part] @ key[:, part].T / math.sqrt(size))
            attended[:, part] = scores / scores.sum(axis=1, keepdims=True) @ value[:, part]
        attended = self._dense(f"{name}.attention.output.dense", attended)
        hidden = self._norm(f"{name}.attention.output.LayerNorm", attended + hidden)
        inner = self._dense(f"{name}.intermediate.dense", hidden)
        inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        outer = self._dense(f"{name}.output.dense", inner)
        return self._norm(f"{name}.output.LayerNorm", outer + hidden)

    def _dense(self, name: str, hidden: NDArray[np.float64]) -> NDArray[np.float64]:
        product = hidden @ self._weights[f"{name}.weight"].T
        return np.asarray(product + self._weights[f"{name}.bias"])

    def _norm(self, name: str, hidden: NDArray[np.float64]) -> NDArray[np.float64]:
        centred = hidden - hidden.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + self._epsilon)
        return np.asarray(scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"])
