"""A Chinese person talks to the page: heard, and answered in Chinese by a Chinese voice."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright

from tests.figures import report
from tests.mesh_process import running_mesh
from tests.requirements import need
from tests.web.conftest import HANGS_S, LOOK_EVERY_S, WebMesh
from tests.web.talking import VIDEO, talking
from tests.web.test_voice import hearing, say, silence

pytestmark = pytest.mark.browser

CHINESE = re.compile(r"[\u4e00-\u9fff]")
VOICE = "kokoro-zf_xiaoxiao"

# Adds up by how much the lower half of the face changes between frames, and how loud the voice is.
WATCH_LIPS = """() => {
  const video = VIDEO;
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  const context = new AudioContext();
  const tap = context.createAnalyser();
  const stream = video.srcObject ?? video.captureStream();
  context.createMediaStreamSource(stream).connect(tap);
  const samples = new Float32Array(tap.fftSize);
  window.lips = [];
  let last = null;
  const look = () => {
    draw.drawImage(video, 0, 0, 64, 64);
    const now = draw.getImageData(16, 32, 32, 32).data;
    tap.getFloatTimeDomainData(samples);
    const loud = Math.hypot(...samples) / Math.sqrt(samples.length);
    if (last) {
      let moved = 0;
      for (let place = 0; place < now.length; place += 4) {
        moved += Math.abs(now[place] - last[place]);
      }
      lips.push([moved / (now.length / 4), loud]);
    }
    last = now;
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
}""".replace("VIDEO", VIDEO)


@pytest.fixture(scope="module")
def chinese_mesh(
    chromium_is_here: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebMesh]:
    """A mesh with what `anima models pull whisper-base voices` installs."""
    need("whisper-base")
    need("kokoro")
    folder = tmp_path_factory.mktemp("chinese")
    # A machine that runs other tests as well may stop the talking head for a while.
    environment = {"ANIMA_GATEWAY_FACE_LATE_MS": "30000", "OMP_NUM_THREADS": "1"}
    with running_mesh(folder, environment, voices=True) as running:
        until_kokoro_speaks(running.page)
        yield WebMesh(running, "", "")


def chinese_voices(page: str) -> list[str]:
    with urllib.request.urlopen(f"{page}v1/mesh", timeout=HANGS_S) as answer:
        voices = json.load(answer)["voices"]
    return [each["name"] for each in voices if "zh" in each["languages"]]


def until_kokoro_speaks(page: str) -> None:
    """Waits for the natural voices, which are loaded while the others speak already."""
    end = time.monotonic() + HANGS_S
    while VOICE not in (voices := chinese_voices(page)):
        assert time.monotonic() < end, voices
        time.sleep(LOOK_EVERY_S)


@pytest.fixture(scope="module")
def person(
    playwright: Playwright, chinese_mesh: WebMesh, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    question = say(chinese_mesh.process.address("tts"), "你会做什么？", voice=VOICE, language="zh")
    path: Path = tmp_path_factory.mktemp("chinese") / "question.wav"
    with hearing(playwright, path, silence(2.0), question) as browser:
        yield browser


def test_spoken_chinese_is_answered_in_chinese(person: Browser, chinese_mesh: WebMesh) -> None:
    with talking(person, chinese_mesh, locale="zh-CN", permissions=["microphone"]) as talk:
        talk.page.click("#microphone")
        talk.until("document.querySelector('.message.me:not(.partial)')")
        talk.until_speaking()
        talk.evaluate(WATCH_LIPS)
        asked = talk.page.locator(".message.me").last.inner_text()
        talk.page.click("#microphone")
        talk.until_idle()
        lips = talk.evaluate("lips")
        talk.page.screenshot(path=str(chinese_mesh.process.logs / "chinese.png"))

        assert "做什么" in asked
        answer = talk.answer()
        assert len(CHINESE.findall(answer)) > 10, answer
        assert not re.search(r"[A-Za-z]{3,}", re.sub(r"Anima", "", answer)), answer
        assert talk.page.get_attribute("html", "lang") == "zh-CN"
        assert talk.complaints == []

    loud = [moved for moved, level in lips if level > 0.02]
    quiet = [moved for moved, level in lips if level < 0.002]
    assert len(loud) > 20
    moving = sum(loud) / len(loud)
    resting = sum(quiet) / max(1, len(quiet))
    report(f"Chinese answer: the mouth moves {moving:.2f} while it speaks, {resting:.2f} in pauses")
    assert moving > 0.3


def test_the_chinese_voice_is_a_natural_one(chinese_mesh: WebMesh) -> None:
    assert chinese_voices(chinese_mesh.page)[0] == VOICE
