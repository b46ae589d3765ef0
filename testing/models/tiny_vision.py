"""The part of a multimodal model that sees, in the format GGUF, with random weights, for tests.

It is of the kind of LLaVA: a vision transformer of one layer, and two layers that project its
output to the embeddings of `testing.models.tiny_gguf`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from testing.models.tiny_gguf import RANDOM_WIDTH

_WIDTH = 64
_FEED_FORWARD = 128
_SIDE_PX = 28
_PATCH_PX = 14


def make_tiny_vision(path: Path) -> None:
    """Writes the part; the same each time."""
    import gguf

    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.has_llava_projector", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", False)
    for name, value in (
        ("image_size", _SIDE_PX),
        ("patch_size", _PATCH_PX),
        ("embedding_length", _WIDTH),
        ("feed_forward_length", _FEED_FORWARD),
        ("projection_dim", RANDOM_WIDTH),
        ("attention.head_count", 2),
        ("block_count", 1),
    ):
        writer.add_uint32(f"clip.vision.{name}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    random = np.random.default_rng(7)
    for tensor, shape in _shapes().items():
        writer.add_tensor(tensor, random.normal(0.0, 0.3, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _shapes() -> dict[str, tuple[int, ...]]:
    patches = (_SIDE_PX // _PATCH_PX) ** 2
    shapes: dict[str, tuple[int, ...]] = {
        "v.class_embd": (_WIDTH,),
        "v.patch_embd.weight": (_WIDTH, 3, _PATCH_PX, _PATCH_PX),
        "v.position_embd.weight": (patches + 1, _WIDTH),
    }
    layers: dict[str, tuple[int, ...]] = {
        "v.pre_ln": (_WIDTH,),
        "v.post_ln": (_WIDTH,),
        "v.blk.0.ln1": (_WIDTH,),
        "v.blk.0.ln2": (_WIDTH,),
        **{f"v.blk.0.attn_{name}": (_WIDTH, _WIDTH) for name in ("q", "k", "v", "out")},
        "v.blk.0.ffn_down": (_FEED_FORWARD, _WIDTH),
        "v.blk.0.ffn_up": (_WIDTH, _FEED_FORWARD),
        "mm.0": (RANDOM_WIDTH, _WIDTH),
        "mm.2": (RANDOM_WIDTH, RANDOM_WIDTH),
    }
    for name, shape in layers.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes
