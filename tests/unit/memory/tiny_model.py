"""A tiny encoder in a model store, put there as any model is: by a registry and a pull."""

import hashlib
import json
from pathlib import Path

from services.runtime.models.store import ModelStore
from tests.unit.retrieval.tiny_bert import write_tiny_bert


def pull_tiny_model(data_dir: Path, name: str, *, seed: int = 0) -> Path:
    """Makes `name` a model of the store in `data_dir` and pulls it."""
    source = data_dir / "sources" / name
    write_tiny_bert(source, seed)
    entry = [
        f"[models.{name}]",
        'description = "random weights"',
        'licence = "Apache-2.0"',
        f'source = {{ kind = "file", folder = {json.dumps(str(source))} }}',
        'build = "retrieval.minilm:build_onnx"',
    ]
    for path in sorted(source.iterdir()):
        content = path.read_bytes()
        entry += [
            f"[[models.{name}.files]]",
            f'name = "{path.name}"',
            f'sha256 = "{hashlib.sha256(content).hexdigest()}"',
            f"size_bytes = {len(content)}",
        ]
    models = data_dir / "models"
    models.mkdir(exist_ok=True)
    with (models / "models.toml").open("a", encoding="utf-8") as file:
        file.write("\n".join(entry) + "\n")
    return ModelStore(models).pull(name)
