"""A packed encoder with random weights in the genuine file format, and its numbers."""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.model_files import PACKED_FILE

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 64, 2, 4, 128, 256
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
PIECES = [
    *SPECIAL,
    *"\u2581abcdefghijklmnopqrstuvwxyz:",
    "\u2581query",
    "\u2581do",
    "do",
    "dog",
    "ogs",
]
PIECES += ["ogs", "\u2581cat", "猫", "\u2581猫", "狗", "<mask>"]
REPLACEMENTS = {ord("Ａ"): "a", ord("\u3000"): " ", ord("ﬁ"): "fi", 7: ""}
_PARTS = {
    "attention.self.query": ("q", HIDDEN, HIDDEN),
    "attention.self.key": ("k", HIDDEN, HIDDEN),
    "attention.self.value": ("v", HIDDEN, HIDDEN),
    "attention.output.dense": ("ao", HIDDEN, HIDDEN),
    "attention.output.LayerNorm": ("aln", HIDDEN, 0),
    "intermediate.dense": ("fi", INNER, HIDDEN),
    "output.dense": ("fo", HIDDEN, INNER),
    "output.LayerNorm": ("oln", HIDDEN, 0),
}

Weights = dict[str, NDArray[np.float32]]


def write_tiny_packed(folder: Path, seed: int = 0) -> Weights:
    """Writes the file; returns the weights that it holds, under the names of Hugging Face."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    packed: dict[str, tuple[int, int, bytes]] = {}
    weights: Weights = {}

    def add(name: str, known_as: str, rows: int, columns: int = 0, spread: float = 0.3) -> None:
        if columns:
            content, numbers = _quantised(random.normal(0, spread, rows * columns))
            packed[name] = (1, numbers.size, content)
            weights[known_as] = numbers.reshape(rows, columns)
        else:
            numbers = random.normal(0, spread, rows).astype(np.float32)
            packed[name] = (0, rows, numbers.tobytes())
            weights[known_as] = numbers

    add("emb.word", "embeddings.word_embeddings.weight", len(PIECES), HIDDEN)
    add("emb.pos", "embeddings.position_embeddings.weight", POSITIONS, HIDDEN)
    add("emb.type", "embeddings.token_type_embeddings.weight", 2, HIDDEN)
    add("emb.ln.w", "embeddings.LayerNorm.weight", HIDDEN)
    add("emb.ln.b", "embeddings.LayerNorm.bias", HIDDEN)
    for layer in range(LAYERS):
        for part, (short, rows, columns) in _PARTS.items():
            known_as = f"encoder.layer.{layer}.{part}"
            add(f"l{layer}.{short}.w", f"{known_as}.weight", rows, columns)
            add(f"l{layer}.{short}.b", f"{known_as}.bias", rows)
    _write(folder / PACKED_FILE, packed)
    return weights


def scores() -> NDArray[np.float32]:
    """Returns the scores of the pieces: a long one is likelier than its parts."""
    return np.array(
        [0.0 if piece in {*SPECIAL, "<mask>"} else -8.0 / len(piece) for piece in PIECES],
        dtype=np.float32,
    )


def _quantised(numbers: NDArray[np.float64]) -> tuple[bytes, NDArray[np.float32]]:
    content, held = b"", []
    for block in numbers.reshape(-1, 32):
        scale = np.float16(np.abs(block).max() / 7)
        weights = np.clip(np.rint(block / float(scale)) + 8, 0, 15).astype(np.uint8)
        content += scale.tobytes() + (weights[:16] | weights[16:] << 4).tobytes()
        held.append((weights.astype(np.float32) - 8) * np.float32(scale))
    return content, np.concatenate(held)


def _write(path: Path, packed: dict[str, tuple[int, int, bytes]]) -> None:
    blob = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, blob)]).astype("<u4")
    head = struct.pack("<4sI", b"E5S1", 1)
    head += struct.pack("<7ifi", HIDDEN, LAYERS, HEADS, INNER, len(PIECES), POSITIONS, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, blob)))
    head += offsets.tobytes() + scores().astype("<f4").tobytes() + b"".join(blob)
    replaced = b"".join(
        struct.pack(f"<IB{len(instead)}I", character, len(instead), *map(ord, instead))
        for character, instead in REPLACEMENTS.items()
    )
    head += struct.pack("<iI", len(REPLACEMENTS), len(replaced)) + replaced
    head += struct.pack("<i", len(packed))
    entry_bytes = sum(2 + len(name) + struct.calcsize("<BIQQ") for name in packed)
    at = len(head) + entry_bytes
    for name, (kind, elements, content) in packed.items():
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", kind, elements, at, len(content))
        at += len(content)
    path.write_bytes(head + b"".join(content for _, _, content in packed.values()))
