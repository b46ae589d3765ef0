"""A model in the format GGUF, small enough for a test: random, or one that says what it is told.

It is written by the library of llama.cpp's own project, as the converters of real models do.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testing.models.tiny_tokeniser import (
    CHAT_TEMPLATE,
    CONTEXT_TOKENS,
    END,
    SPECIAL_TOKENS,
    trained_tokeniser,
)

_HEADS = 4
_KEY_HEADS = 2
_HEAD = 32
_FEED_FORWARD = 128
RANDOM_WIDTH = 64
_TOLD_WIDTH = 512
"""So wide that the embeddings of different tokens have nearly nothing in common."""
_SURE = 40.0
_SHARED = 0.5
"""In the last dimension of each embedding."""
_PROMPT_END = "\u010a"
"""A line break, with which the template ends; in the letters of byte-level encoding."""


def make_tiny_gguf(
    path: Path,
    *,
    says: Sequence[str] = (),
    otherwise: Sequence[str] = (),
    context: int = CONTEXT_TOKENS,
    layers: int = 2,
) -> None:
    """Writes a model; the same each time.

    Args:
        path: Where to.
        says: What it says to everything, as pieces that become tokens; empty: its weights are
            random. A piece leads to the next one by itself, so each may occur once.
        otherwise: Pieces that it says, the first ones rather, where it may not say the others.
        context: The tokens for which it claims to be trained.
        layers: Its layers; the more, the slower it is.
    """
    import gguf

    tokeniser = trained_tokeniser()
    tokens = _tokens(tokeniser, [*says, *otherwise])
    width = _TOLD_WIDTH if says else RANDOM_WIDTH
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(1 if says else layers)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KEY_HEADS)
    writer.add_key_length(_HEAD)
    writer.add_value_length(_HEAD)
    writer.add_rope_dimension_count(_HEAD)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [
            gguf.TokenType.CONTROL if token in SPECIAL_TOKENS else gguf.TokenType.NORMAL
            for token in tokens
        ]
    )
    merges = json.loads(tokeniser.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_eos_token_id(tokens.index(END))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    weights = _told(tokens, says, otherwise, width) if says else _random(tokens, layers, width)
    for name, values in weights.items():
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tokens(tokeniser: Any, says: Sequence[str]) -> list[str]:
    vocabulary = tokeniser.get_vocab()
    known = sorted(vocabulary, key=vocabulary.__getitem__)
    shown = dict.fromkeys(_shown(piece) for piece in says)
    return [*known, *(piece for piece in shown if piece not in vocabulary)]


def _shown(piece: str) -> str:
    """Returns a piece of text in the letters of byte-level encoding."""
    from tokenizers import pre_tokenizers

    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return "".join(text for text, _ in split.pre_tokenize_str(piece))


def _layers(count: int, width: int, draw: Any) -> dict[str, NDArray[np.float32]]:
    weights: dict[str, NDArray[np.float32]] = {}
    for layer in range(count):
        rows = {
            "attn_q": (_HEADS * _HEAD, width),
            "attn_k": (_KEY_HEADS * _HEAD, width),
            "attn_v": (_KEY_HEADS * _HEAD, width),
            "attn_output": (width, _HEADS * _HEAD),
            "ffn_gate": (_FEED_FORWARD, width),
            "ffn_up": (_FEED_FORWARD, width),
            "ffn_down": (width, _FEED_FORWARD),
        }
        for name, shape in rows.items():
            weights[f"blk.{layer}.{name}.weight"] = draw(shape)
        for name in ("attn_norm", "ffn_norm"):
            weights[f"blk.{layer}.{name}.weight"] = np.ones(width, np.float32)
    weights["output_norm.weight"] = np.ones(width, np.float32)
    return weights


def _random(tokens: Sequence[str], layers: int, width: int) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(7)

    def draw(shape: tuple[int, ...]) -> NDArray[np.float32]:
        return random.normal(0.0, 0.4, shape).astype(np.float32)

    output = draw((len(tokens), width))
    for number, token in enumerate(tokens):
        # An answer is never empty: neither its end nor half characters are chosen.
        if not any(char.isascii() and char.isalnum() for char in token) or "|" in token:
            output[number] = 0.0
    embeddings = draw((len(tokens), width))
    return _layers(layers, width, draw) | {"token_embd.weight": embeddings, "output.weight": output}


def _told(
    tokens: Sequence[str], says: Sequence[str], otherwise: Sequence[str], width: int
) -> dict[str, NDArray[np.float32]]:
    """Returns weights of which only the last token counts: each piece leads to the next one."""
    random = np.random.default_rng(7)
    embeddings = random.normal(0.0, 1.0, (len(tokens), width)).astype(np.float32)
    embeddings[:, -1] = 0.0
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    output = np.zeros((len(tokens), width), np.float32)
    chain = [_PROMPT_END, *(_shown(piece) for piece in says), END]
    if len(set(chain)) != len(chain):
        raise ValueError("says: must be pieces that differ, without a line break alone")
    for before, after in itertools.pairwise(chain):
        # The norm makes an embedding sqrt(width) long.
        output[tokens.index(after)] += embeddings[tokens.index(before)] * _SURE / width**0.5
    embeddings[:, -1] = _SHARED
    for place, piece in enumerate(otherwise):
        output[tokens.index(_shown(piece)), -1] = _SURE / width**0.5 / (place + 2)
    layers = _layers(1, width, lambda shape: np.zeros(shape, np.float32))
    return layers | {"token_embd.weight": embeddings, "output.weight": output}
