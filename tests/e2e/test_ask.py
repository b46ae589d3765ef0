"""The command `anima ask` against real engines: decodes its files as a player would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pysubs2
import pytest
from numpy.typing import NDArray

from services.avatar.painted.package import load_package
from services.runtime.config.settings import CHECKOUT
from tests.mesh_process import MeshProcess
from tests.mouth import opening
from tests.synthesis import RATE_HZ, spoken

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

SILENT_RMS = 0.01
"""Of full scale."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """A decoded video: frames in BGR, audio -1..1."""

    codecs: tuple[str, str]
    pictures: list[NDArray[np.uint8]]
    audio: NDArray[np.float32]
    video_s: float
    audio_s: float
    frame_rate_hz: float

    def frame_rms(self) -> NDArray[np.float64]:
        """Returns the loudness of the audio of each frame."""
        per_frame = round(self.audio.size / self.audio_s / self.frame_rate_hz)
        audio = np.pad(self.audio, (0, per_frame * len(self.pictures)))
        frames = audio[: per_frame * len(self.pictures)].reshape(len(self.pictures), per_frame)
        return np.asarray(np.sqrt((frames.astype(np.float64) ** 2).mean(axis=1)))


def _duration_s(stream: av.VideoStream | av.AudioStream) -> float:
    assert stream.duration is not None
    assert stream.time_base is not None
    return float(stream.duration * stream.time_base)


def watch(path: Path) -> Film:
    with av.open(str(path)) as source:
        video, audio = source.streams.video[0], source.streams.audio[0]
        assert video.average_rate is not None
        codecs = video.codec_context.name, audio.codec_context.name
        video_s, audio_s = _duration_s(video), _duration_s(audio)
        rate_hz = float(video.average_rate)
        pictures = [
            np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in source.decode(video)
        ]
    with av.open(str(path)) as source:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in source.decode(audio=0)])
    return Film(
        codecs=codecs,
        pictures=pictures,
        audio=samples,
        video_s=video_s,
        audio_s=audio_s,
        frame_rate_hz=rate_hz,
    )


def anima(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env={**os.environ, "COLUMNS": "200"},
        cwd=CHECKOUT,
        text=True,
        capture_output=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0 or not check, ended.stderr
    return ended


def test_a_typed_question_is_answered_by_a_film(mesh: MeshProcess, tmp_path: Path) -> None:
    out, data = tmp_path / "a.mp4", tmp_path / "a.json"
    where = ("--gateway", mesh.gateway_address)
    printed = anima("ask", "What can you do?", "--out", str(out), "--json", str(data), *where)
    answer = json.loads(data.read_text())
    assert " ".join(printed.stdout.split()) == answer["text"]
    film = watch(out)
    assert film.codecs == ("h264", "aac")
    assert film.frame_rate_hz == 25
    assert abs(film.video_s - film.audio_s) <= 1 / film.frame_rate_hz
    assert abs(len(film.pictures) / film.frame_rate_hz - film.video_s) < 1e-6
    assert abs(answer["duration_ms"] / 1000 - film.audio_s) <= 1 / film.frame_rate_hz
    _check_mouth(film)
    _check_json(answer)


def _check_mouth(film: Film) -> None:
    """Opens while words are spoken, closed in silence."""
    package = load_package(CHECKOUT / "personas" / "anima" / "avatar")
    openings = np.array([opening(picture, package) for picture in film.pictures])
    loud = film.frame_rms() > SILENT_RMS
    assert loud.mean() > 0.5, "the speech is not audible"
    assert np.percentile(openings[loud], 90) > 0.05
    # the mouth leads the sound and closes after it: 3 frames around sound do not count as silence
    near_sound = np.convolve(loud, np.ones(7), mode="same") > 0
    assert (~near_sound).any(), "no pause to look at"
    assert openings[~near_sound].max() < 0.01


def _check_json(answer: dict[str, object]) -> None:
    text, words, spans = answer["text"], answer["words"], answer["spans"]
    assert isinstance(text, str)
    assert isinstance(words, list)
    assert isinstance(spans, list)
    for word in words:
        assert text[word["start_char"] : word["end_char"]].strip()
    for one, other in pairwise(words):
        assert one["start_ms"] <= other["start_ms"]
    assert {span["stage"] for span in spans} >= {"llm", "tts", "avatar", "playout"}
    subtitles = answer["subtitles"]
    assert isinstance(subtitles, dict)
    assert "".join(_plain(subtitles["srt"]).split()) == "".join(text.split())


def _plain(srt: str) -> str:
    return " ".join(line.plaintext for line in pysubs2.SSAFile.from_string(srt))


def test_a_recorded_question_is_answered(mesh: MeshProcess, tmp_path: Path) -> None:
    question, out, data = tmp_path / "question.wav", tmp_path / "a.mp4", tmp_path / "a.json"
    with wave.open(str(question), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(spoken("What can you do?").astype("<i2").tobytes())
    where = ("--gateway", mesh.gateway_address)
    anima("ask", "--audio", str(question), "--out", str(out), "--json", str(data), *where)
    answer = json.loads(data.read_text())
    assert answer["question"].lower().rstrip("?") == "what can you do"
    assert "what-can-you-do" in [source["name"] for source in answer["sources"]]
    film = watch(out)
    assert abs(film.video_s - film.audio_s) <= 1 / film.frame_rate_hz
    _check_mouth(film)


def test_a_chinese_question_is_answered_in_chinese(mesh: MeshProcess, tmp_path: Path) -> None:
    out, data = tmp_path / "a.wav", tmp_path / "a.json"
    where = ("--gateway", mesh.gateway_address)
    anima("ask", "你能做什么？", "--out", str(out), "--json", str(data), *where)
    answer = json.loads(data.read_text())
    hanzi = [c for c in answer["text"] if "\u4e00" <= c <= "\u9fff"]
    assert len(hanzi) > 0.7 * len(answer["text"])
    # the voice speaks all of it: each character has its time in the audio, and the captions show it
    spoken = "".join(answer["text"][w["start_char"] : w["end_char"]] for w in answer["words"])
    assert [c for c in spoken if "\u4e00" <= c <= "\u9fff"] == hanzi
    assert "".join(_plain(answer["subtitles"]["srt"]).split()) == "".join(answer["text"].split())
    with wave.open(str(out)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        rate_hz = file.getframerate()
    for word in answer["words"]:
        first = round(word["start_ms"] * rate_hz / 1000)
        last = first + round(word["duration_ms"] * rate_hz / 1000)
        assert np.abs(samples[first:last]).max() > SILENT_RMS, word


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((), "give either TEXT or --audio"),
        (("Hello", "--out", "answer.doc"), "unknown file type"),
        (("Hello", "--out", "missing/answer.mp4"), "the folder does not exist"),
        (("Hello", "--persona", "nobody"), "nobody"),
        (("Hello", "--voice", "nobody", "--out", "answer.wav"), "nobody"),
        (("x" * 8001,), "8000"),
        (("Hello", "--gateway", "127.0.0.1:1"), "anima up"),
        (("--audio", "pyproject.toml"), "cannot be decoded"),
    ],
)
def test_what_is_wrong_is_said(mesh: MeshProcess, arguments: tuple[str, ...], fault: str) -> None:
    where = () if "--gateway" in arguments else ("--gateway", mesh.gateway_address)
    ended = anima("ask", *arguments, *where, check=False)
    assert ended.returncode == 1
    assert fault in ended.stderr.replace(",", "")
    assert "Traceback" not in ended.stderr
