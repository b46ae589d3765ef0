"""Recorded speech for tests and benchmarks: real people.

From Debian's pocketsphinx-testdata, and from the package of Moonshine's maker (`anima models pull
moonshine-recordings`).
"""

from __future__ import annotations

import re
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

RATE_HZ = 16_000
POCKETSPHINX_TESTDATA = Path("/usr/share/pocketsphinx/test/data")

_BECKETT = "ever tried ever failed no matter try again fail again fail better"
_TWO_CITIES = """
it was the best of times it was the worst of times it was the age of wisdom it was the age of
foolishness it was the epoch of belief it was the epoch of incredulity it was the season of light
it was the season of darkness it was the spring of hope it was the winter of despair we had
everything before us we had nothing before us we were all going direct to heaven we were all going
direct the other way in short the period was so far like the present period that some of its
noisiest authorities insisted on its being received for good or for evil in the superlative degree
of comparison only
"""

_LINE = re.compile(r"<s> (?P<text>.*?) *</s> \((?P<name>.*)\)")


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One recorded utterance.

    Attributes:
        name: The file, such as "cards/001.wav".
        text: The transcript, in lower case and without punctuation.
        samples: Mono at 16 kHz.
    """

    name: str
    text: str
    samples: NDArray[np.int16]


def card_commands() -> list[Recording]:
    """Five short commands, 9.7 s, quiet room. Needs pocketsphinx-testdata."""
    return _folder("cards", "cards.transcription")


def read_novel() -> list[Recording]:
    """Five stretches of a novel read aloud (LibriVox, public domain), 24.7 s."""
    return _folder("librivox", "transcription")


def robot_commands() -> list[Recording]:
    """Two commands: "go forward ten meters", "go somewhere and do something"."""
    return [
        _raw("goforward.raw", "go forward ten meters"),
        _raw("something.raw", "go somewhere and do something"),
    ]


def go_forward() -> Recording:
    """The command "go forward ten meters", 2.8 s."""
    return robot_commands()[0]


def readers(folder: Path) -> list[Recording]:
    """Two people who read aloud, from the model store: Beckett (10 s) and Dickens (44 s)."""
    return [
        Recording(name=name, text=text, samples=_resampled(folder / name))
        for name, text in (("beckett.wav", _BECKETT), ("two_cities.wav", _TWO_CITIES))
    ]


def all_recordings() -> list[Recording]:
    """All recordings of pocketsphinx-testdata."""
    return [*card_commands(), *read_novel(), *robot_commands()]


def with_silence(
    samples: NDArray[np.int16], *, before_ms: int = 0, after_ms: int = 800
) -> NDArray[np.int16]:
    """Returns a recording in a quiet room that goes on before and after it (16 kHz)."""
    return np.concatenate([quiet_room(before_ms), samples, quiet_room(after_ms)])


def quiet_room(duration_ms: int) -> NDArray[np.int16]:
    """Near silence at 16 kHz; a microphone never produces digital silence."""
    generator = np.random.default_rng(1)
    return generator.integers(-4, 5, duration_ms * RATE_HZ // 1000, dtype=np.int16)


def _folder(folder: str, transcription: str) -> list[Recording]:
    lines = (POCKETSPHINX_TESTDATA / folder / transcription).read_text().splitlines()
    matches = [match for match in map(_LINE.fullmatch, lines) if match]
    return [_wave(f"{folder}/{match['name']}.wav", match["text"]) for match in matches]


def _wave(name: str, text: str) -> Recording:
    with wave.open(str(POCKETSPHINX_TESTDATA / name)) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE_HZ, 1, 2):
            raise ValueError(f"{name} is not 16-bit mono at {RATE_HZ} Hz")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    return Recording(name=name, text=text, samples=samples)


def _resampled(path: Path) -> NDArray[np.int16]:
    with wave.open(str(path)) as file:
        rate_hz = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    resampled: NDArray[np.int16] = soxr.resample(samples, rate_hz, RATE_HZ)
    return resampled


def _raw(name: str, text: str) -> Recording:
    samples = np.fromfile(POCKETSPHINX_TESTDATA / name, "<i2").astype(np.int16)
    return Recording(name=name, text=text, samples=samples)
