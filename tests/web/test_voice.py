"""A spoken question: Chromium's fake microphone plays a recording to the page."""

import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
from playwright.sync_api import Browser, Playwright

from anima.tts.v1 import tts_pb2 as tts
from anima.tts.v1.tts_pb2_grpc import TtsServiceStub
from tests.figures import report
from tests.requirements import need
from tests.web.conftest import HANGS_S, WebMesh, chromium
from tests.web.talking import open_page, talking

pytestmark = pytest.mark.browser

RATE_HZ = 16_000


def say(address: str, text: str, *, voice: str = "rms", language: str = "en") -> np.ndarray:
    """Speaks with flite: the embedded recogniser does not understand eSpeak's voice."""
    config = tts.SynthesizeConfig(
        turn_id="question", voices=[voice], language=language, sample_rate_hz=RATE_HZ
    )
    requests = [
        tts.SynthesizeRequest(config=config),
        tts.SynthesizeRequest(text=tts.TextSegment(segment=1, text=text)),
        tts.SynthesizeRequest(end_of_text=tts.EndOfText()),
    ]
    with grpc.insecure_channel(address) as channel:
        answers = TtsServiceStub(channel).Synthesize(iter(requests), timeout=HANGS_S)
        pcm = b"".join(answer.audio.pcm for answer in answers)
    return np.frombuffer(pcm, "<i2")


@contextmanager
def hearing(playwright: Playwright, path: Path, *sounds: np.ndarray) -> Iterator[Browser]:
    """A browser whose microphone hears this once, from the moment it is opened."""
    write_wav(path, np.concatenate([*sounds, silence(60.0)]))
    with chromium(
        playwright,
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={path}%noloop",
    ) as browser:
        yield browser


@pytest.fixture(scope="module")
def question(mesh: WebMesh) -> np.ndarray:
    need("flite")
    return say(mesh.process.address("tts"), "What can you do?")


@pytest.fixture
def listener(playwright: Playwright, question: np.ndarray, tmp_path: Path) -> Iterator[Browser]:
    with hearing(playwright, tmp_path / "question.wav", silence(2.0), question) as browser:
        yield browser


@pytest.fixture
def interrupter(playwright: Playwright, question: np.ndarray, tmp_path: Path) -> Iterator[Browser]:
    """Repeats the words: echo cancellation removes a part of the first ones during an answer."""
    insisting = [question, silence(0.3)] * 4
    with hearing(playwright, tmp_path / "insisting.wav", silence(1.0), *insisting) as browser:
        yield browser


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ), "<i2")


def write_wav(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.astype("<i2").tobytes())


def test_spoken_question_is_shown_and_answered(listener: Browser, mesh: WebMesh) -> None:
    with talking(listener, mesh, permissions=["microphone"]) as talk:
        talk.page.click("#microphone")
        talk.until("document.getElementById('microphone').ariaPressed === 'true'")
        level = (
            "getComputedStyle(document.getElementById('microphone')).getPropertyValue('--level')"
        )
        talk.until(f"Number({level}) > 0.3")
        talk.until("document.getElementById('activity-text').textContent === 'Hearing you'")
        talk.until("document.querySelector('.message.me:not(.partial)')")
        talk.until_speaking()
        asked = talk.page.locator(".message.me").last.inner_text()
        talk.page.click("#microphone")
        talk.until_idle()

        assert "what can you do" in asked.lower()
        assert "talk" in talk.answer()
        assert talk.page.locator("#waterfall li[data-stage=asr]").count() == 1
        assert talk.complaints == []


# Records when the page hears of speech and when the answer falls silent.
WATCH_SILENCE = """() => {
  const live = document.getElementById("screen").dataset.media === "live";
  const video = document.getElementById(live ? "live" : "talk");
  window.heardAt = window.silentAt = 0;
  const look = () => {
    const hearing = document.getElementById("activity-text").textContent === "Hearing you";
    if (hearing) window.heardAt ||= performance.now();
    if (video.volume === 0 || video.paused) window.silentAt ||= performance.now();
    if (!window.heardAt || !window.silentAt) requestAnimationFrame(look);
  };
  look();
}"""


@pytest.mark.parametrize("media", ["webrtc", "ws"])
def test_voice_silences_the_answer_at_once(interrupter: Browser, mesh: WebMesh, media: str) -> None:
    with talking(interrupter, mesh, media=media, permissions=["microphone"]) as talk:
        talk.ask("How are you built?")
        talk.until_speaking()
        talk.evaluate(WATCH_SILENCE)
        talk.page.click("#microphone")
        talk.until("heardAt && silentAt")
        silent_after_ms = talk.evaluate("silentAt - heardAt")
        talk.until("document.querySelector('.message.them footer')")
        talk.page.click("#microphone")
        report(f"{media}: silent {silent_after_ms:.0f} ms after the page was told of speech")

        assert "interrupted" in talk.page.locator(".message.them footer").first.inner_text()


def test_face_listens_while_the_person_speaks(interrupter: Browser, mesh: WebMesh) -> None:
    with talking(interrupter, mesh, media="ws", permissions=["microphone"]) as talk:
        talk.page.click("#microphone")
        talk.until("document.querySelector('#listening.shown')")
        step_s = talk.evaluate(
            """() => {
              const at = (id) => document.getElementById(id).currentTime;
              return Math.abs(at("idle") - at("listening"));
            }"""
        )
        talk.until("!document.querySelector('.look.shown')")

        assert step_s < 0.5
        assert talk.complaints == []


# Runs the worklet over a tone, faster than real time; gives what it made and its loudness.
RESAMPLE = """async ({ rateHz, toneHz }) => {
  const context = new OfflineAudioContext(1, rateHz, rateHz);
  await context.audioWorklet.addModule("static/mic-worklet.js");
  const tone = new OscillatorNode(context, { frequency: toneHz });
  const node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
  const samples = [];
  node.port.onmessage = ({ data }) => samples.push(...new Int16Array(data.pcm));
  tone.connect(new GainNode(context, { gain: 0.5 })).connect(node);
  tone.start();
  await context.startRendering();
  while (samples.length < 14_000) await new Promise(requestAnimationFrame);
  const middle = samples.slice(4_000, 12_000).map((value) => value / 32768);
  const rms = Math.sqrt(middle.reduce((sum, value) => sum + value * value, 0) / middle.length);
  let rising = 0;
  for (let i = 1; i < middle.length; i += 1) rising += middle[i - 1] < 0 && middle[i] >= 0;
  return { rms, toneHz: rising * 2 };
}"""


def test_microphone_is_resampled_without_loss_or_alias(
    browser: Browser, scripted_page: str
) -> None:
    with open_page(browser, scripted_page, (1280, 800), "en-US") as talk:
        for rate_hz in (16_000, 44_100, 48_000, 96_000):
            speech = talk.evaluate(RESAMPLE, {"rateHz": rate_hz, "toneHz": 1_000})

            assert speech["rms"] == pytest.approx(0.5 / 2**0.5, rel=0.02), rate_hz
            assert speech["toneHz"] == pytest.approx(1_000, abs=4), rate_hz
            if rate_hz > 24_000:
                beyond = talk.evaluate(RESAMPLE, {"rateHz": rate_hz, "toneHz": 11_000})
                assert beyond["rms"] < 0.003, rate_hz
