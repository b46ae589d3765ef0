"""Chinese speech for the benchmark of the recognisers, of Kokoro and of real people."""

from __future__ import annotations

import asyncio
import itertools
import re
import unicodedata
import wave
from pathlib import Path
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from services.tts.engine import EngineUnavailableError, SpeechChunk, SpeechRequest
from services.tts.engines.kokoro.engine import KokoroEngine
from services.tts.settings import TtsSettings
from testing.speech.recordings import RATE_HZ, Recording
from text.scripts import UNSPACED

VOICES: Final = ("kokoro-zf_xiaoxiao", "kokoro-zm_yunxi")
_NEEDLESS: Final = re.compile(f"(?<=[{UNSPACED}]) | (?=[{UNSPACED}])")
SENTENCES: Final = (
    "你好，很高兴认识你。",
    "今天天气怎么样？",
    "请告诉我你能做什么。",
    "我想知道这座城市的历史。",
    "明天早上我们一起去公园散步吧。",
    "我的名字叫王小明，我住在上海。",
    "你可以帮我写一封信吗？",
    "这本书讲的是一个老人和大海的故事。",
    "昨天晚上我和朋友去看了一场电影。",
    "如果下雨，我们就在家里喝茶聊天。",
)


async def spoken_by_kokoro(most: int | None = None) -> list[Recording]:
    """Returns the sentences spoken by two voices; none, with the reason, without the voices.

    Args:
        most: How many; None: all.
    """
    engine = KokoroEngine(TtsSettings.from_environment())
    try:
        await engine.open()
        await engine.warm_up()
        voices = {voice.name: voice for voice in engine.voices()}
        return [
            await asyncio.to_thread(
                _speak, engine, SpeechRequest(voice=voices[name], text=sentence)
            )
            for sentence, name in list(itertools.product(SENTENCES, VOICES))[:most]
        ]
    except EngineUnavailableError as error:
        print(f"without speech of Kokoro: {error}")
        return []
    finally:
        await engine.close()


def clips_of(folder: Path) -> list[Recording]:
    """Returns the recordings `*.wav` of a folder, each with its transcript in `*.txt`."""
    return [
        Recording(
            name=path.name,
            text=path.with_suffix(".txt").read_text(encoding="utf-8").strip(),
            samples=_read(path),
        )
        for path in sorted(folder.glob("*.wav"))
    ]


def characters_of(text: str) -> str:
    """Returns a text without punctuation and case, and without spaces beside Chinese characters."""
    plain = unicodedata.normalize("NFKC", text).lower()
    words = "".join(each if each.isalnum() else " " for each in plain).split()
    return _NEEDLESS.sub("", " ".join(words))


def _speak(engine: KokoroEngine, request: SpeechRequest) -> Recording:
    pieces: list[NDArray[np.int16]] = []

    def keep(chunk: SpeechChunk) -> bool:
        pieces.append(chunk.samples)
        return True

    engine.synthesize(request, keep)
    rate_hz = request.voice.sample_rate_hz
    return Recording(
        name=f"{request.voice.name}: {request.text}",
        text=request.text,
        samples=soxr.resample(np.concatenate(pieces), rate_hz, RATE_HZ),
    )


def _read(path: Path) -> NDArray[np.int16]:
    with wave.open(str(path)) as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            raise ValueError(f"{path}: must be mono with 16 bits per sample")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        resampled: NDArray[np.int16] = soxr.resample(samples, file.getframerate(), RATE_HZ)
        return resampled
