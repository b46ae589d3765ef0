"""A Whisper model in CTranslate2's own format that says what it is told to, for tests.

Its layers have no weight, so that what it says depends on the position of a token alone: the
position embeddings and the projection are chosen for a transcript. It has the tokens of the
multilingual models, since CTranslate2 tells those by their number.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TEXT_TOKENS = 50_257
LANGUAGES = ("en", "zh", "de", "fr", *(f"x{a}{b}" for a in "abcde" for b in "abcdefghijklmnopqrs"))
_START = "<|startoftranscript|>"
_SPECIAL = (
    "<|endoftext|>",
    _START,
    *(f"<|{language}|>" for language in LANGUAGES),
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
    *(f"<|{number * 0.02:.2f}|>" for number in range(1501)),
)
_PROMPT = 4
_WIDTH = 64
_HEADS = 2
_POSITIONS = 448
_SURE = 60.0


def make_tiny_whisper(
    folder: Path, words: Sequence[str], *, language: str = "en", no_speech: bool = False
) -> None:
    """Writes a model.

    Args:
        folder: Where to.
        words: What it says, as tokens: " go" with its space; a character of three bytes may be
            given as bytes, such as "\\xe4", "\\xbd", "\\xa0" in Latin-1.
        language: The language that it detects.
        no_speech: Whether it takes everything for silence.
    """
    from ctranslate2.specs import whisper_spec

    tokens = _tokens(words)
    folder.mkdir(parents=True, exist_ok=True)
    _write_tokenizer(folder / "tokenizer.json", tokens)
    spec = whisper_spec.WhisperSpec(1, _HEADS, 1, _HEADS)
    _fill(spec, tokens, words, language=language, no_speech=no_speech)
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    first = TEXT_TOKENS + 2
    spec.config.lang_ids = list(range(first, first + len(LANGUAGES)))
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.optimize(quantization="float32")
    spec.save(str(folder))


def _tokens(words: Sequence[str]) -> list[str]:
    letters = [_BYTES[number] for number in range(256)]
    said = [_shown(word) for word in words]
    own = list(dict.fromkeys([*letters, *said]))
    filler = [f"filler{number}" for number in range(TEXT_TOKENS - 1 - len(own))]
    # CTranslate2 takes a model for multilingual only if it has an empty token, as the real ones do.
    return [*own, *filler, "", *_SPECIAL]


def _byte_letters() -> dict[int, str]:
    """Returns the letter for each byte of GPT-2's byte-level encoding."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {number: chr(number) for number in printable}
    rest = (number for number in range(256) if number not in letters)
    return letters | {number: chr(256 + at) for at, number in enumerate(rest)}


_BYTES = _byte_letters()


def _shown(word: str) -> str:
    """Returns a token as the vocabulary has it; characters up to U+00FF are bytes."""
    return "".join(_BYTES[number] for number in word.encode("latin-1"))


def _write_tokenizer(path: Path, tokens: list[str]) -> None:
    vocabulary = {token: number for number, token in enumerate(tokens[:TEXT_TOKENS])}
    added = [
        {
            "id": TEXT_TOKENS + number,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for number, token in enumerate(_SPECIAL)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    content = {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }
    path.write_text(json.dumps(content), "utf-8")


def _fill(
    spec: Any, tokens: list[str], words: Sequence[str], *, language: str, no_speech: bool
) -> None:
    places = np.zeros((_POSITIONS, _WIDTH), np.float32)
    places[np.arange(_POSITIONS), np.arange(_POSITIONS) % _WIDTH] = 1.0
    said = [*(_shown(word) for word in words), "<|endoftext|>"]
    if len(said) + _PROMPT > _WIDTH:
        raise ValueError(f"words: must be at most {_WIDTH - _PROMPT - 1}, got {len(words)}")
    projection = np.zeros((len(tokens), _WIDTH), np.float32)
    for position, token in enumerate(said, start=_PROMPT - 1):
        projection[tokens.index(token), position] = _SURE
    projection[tokens.index(f"<|{language}|>"), 0] = _SURE / 10
    if no_speech:
        projection[tokens.index("<|nospeech|>"), 0] = _SURE
    _fill_encoder(spec.encoder)
    decoder = spec.decoder
    decoder.embeddings.weight = np.zeros((len(tokens), _WIDTH), np.float32)
    decoder.position_encodings.encodings = places
    decoder.projection.weight = projection
    decoder.scale_embeddings = False
    _fill_norm(decoder.layer_norm)
    for layer in decoder.layer:
        _fill_attention(layer.self_attention, own=True)
        _fill_attention(layer.attention, own=False)
        _fill_feed_forward(layer.ffn)


def _fill_encoder(encoder: Any) -> None:
    encoder.conv1.weight = np.zeros((_WIDTH, 80, 3), np.float32)
    encoder.conv1.bias = np.zeros(_WIDTH, np.float32)
    encoder.conv2.weight = np.zeros((_WIDTH, _WIDTH, 3), np.float32)
    encoder.conv2.bias = np.zeros(_WIDTH, np.float32)
    encoder.position_encodings.encodings = np.zeros((1500, _WIDTH), np.float32)
    _fill_norm(encoder.layer_norm)
    for layer in encoder.layer:
        _fill_attention(layer.self_attention, own=True)
        _fill_feed_forward(layer.ffn)


def _fill_attention(attention: Any, *, own: bool) -> None:
    _fill_norm(attention.layer_norm)
    sizes = [3 * _WIDTH, _WIDTH] if own else [_WIDTH, 2 * _WIDTH, _WIDTH]
    for linear, size in zip(attention.linear, sizes, strict=True):
        linear.weight, linear.bias = _nothing(size, _WIDTH)


def _fill_feed_forward(feed_forward: Any) -> None:
    _fill_norm(feed_forward.layer_norm)
    feed_forward.linear_0.weight, feed_forward.linear_0.bias = _nothing(4 * _WIDTH, _WIDTH)
    feed_forward.linear_1.weight, feed_forward.linear_1.bias = _nothing(_WIDTH, 4 * _WIDTH)


def _fill_norm(norm: Any) -> None:
    norm.gamma = np.ones(_WIDTH, np.float32)
    norm.beta = np.zeros(_WIDTH, np.float32)


def _nothing(rows: int, columns: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.zeros((rows, columns), np.float32), np.zeros(rows, np.float32)
