"""Makes `whisper_log_mel.json`: the output of transformers' feature extractor for a sound.

    python -m tests.unit.gateway.make_whisper_reference

Needs transformers, which is not in the default environment; made with 5.17 or later, numpy only.
Every 5th band of every 23rd window of the 80 x 800 values is kept.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

REFERENCE = Path(__file__).with_name("whisper_log_mel.json")
BANDS = slice(None, None, 5)
WINDOWS = slice(None, None, 23)
RATE_HZ = 16_000


def sound() -> NDArray[np.int16]:
    """A gliding tone with an overtone and noise, 5 s at 16 kHz, that stops before the end."""
    time_s = np.arange(5 * RATE_HZ) / RATE_HZ
    glide = np.sin(2 * np.pi * (120 * time_s + 300 * time_s**2))
    noise = np.random.default_rng(7).normal(0, 0.02, time_s.size)
    loud = (0.4 * glide + 0.1 * np.sin(2 * np.pi * 2_900 * time_s)) * (time_s < 4.6)
    return np.round(32_767 * np.clip(loud + noise, -1, 1)).astype(np.int16)


def main() -> None:
    """Computes and stores the values."""
    import transformers

    padded = np.pad(sound().astype(np.float32) / 32768, (3 * RATE_HZ, 0))
    extractor = transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=8)
    features = extractor(
        padded,
        sampling_rate=RATE_HZ,
        return_tensors="np",
        padding="max_length",
        max_length=8 * RATE_HZ,
        truncation=True,
        do_normalize=True,
    )["input_features"][0]
    kept = features[BANDS, WINDOWS]
    reference = {
        "made_with": f"transformers {transformers.__version__}",
        "shape": list(features.shape),
        "mean": round(float(features.mean()), 6),
        "values": [[round(float(value), 4) for value in band] for band in kept],
    }
    REFERENCE.write_text(json.dumps(reference) + "\n")


if __name__ == "__main__":
    main()
