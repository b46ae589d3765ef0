"""A typed question is answered by a face that moves, a voice that is heard, and captions."""

import pytest
from playwright.sync_api import Browser

from tests.figures import report
from tests.web.conftest import WebMesh
from tests.web.talking import STATE, VIDEO, talking

pytestmark = pytest.mark.browser

# Samples the picture 80 ms apart, 12 times, and longer where a busy machine draws few pictures;
# and the loudness between.
WATCH = """async () => {
  const live = document.getElementById("screen").dataset.media === "live";
  const video = document.getElementById(live ? "live" : "talk");
  const audio = new AudioContext();
  const analyser = audio.createAnalyser();
  const sound = (live ? video.srcObject : video.captureStream()).getAudioTracks();
  audio.createMediaStreamSource(new MediaStream(sound)).connect(analyser);
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  const pictures = [], times = [];
  let loudest = 0, changes = 0;
  const differ = (a, b) => a.some((value, index) => Math.abs(value - b[index]) > 8);
  const heard = new Float32Array(analyser.fftSize);
  for (let shot = 0; shot < 12 || (changes < 6 && shot < 60); shot += 1) {
    draw.drawImage(video, 0, 0, 64, 64);
    pictures.push(Array.from(draw.getImageData(0, 0, 64, 64).data));
    times.push(video.currentTime);
    changes += shot > 0 && differ(pictures.at(-1), pictures.at(-2));
    for (const end = performance.now() + 80; performance.now() < end;) {
      await new Promise(requestAnimationFrame);
      analyser.getFloatTimeDomainData(heard);
      loudest = Math.max(loudest, ...heard);
    }
  }
  await audio.close();
  return { changes, times, loudest, readyState: video.readyState };
}"""

# Presses Stop, and tells the gateway only when the answer is silent: the page waits for nobody.
STOP = """async () => {
  const live = document.getElementById("screen").dataset.media === "live";
  const video = document.getElementById(live ? "live" : "talk");
  const send = WebSocket.prototype.send;
  const held = [];
  WebSocket.prototype.send = function (data) { held.push([this, data]); };
  document.getElementById("stop").click();
  while (!video.paused && video.volume > 0) await new Promise(requestAnimationFrame);
  WebSocket.prototype.send = send;
  for (const [socket, data] of held) socket.send(data);
}"""


@pytest.mark.parametrize("media", ["webrtc", "ws"])
def test_question_is_answered_in_picture_sound_and_captions(
    browser: Browser, mesh: WebMesh, media: str
) -> None:
    with talking(browser, mesh, media=media) as talk:
        talk.ask("What can you do?")
        talk.until_speaking()
        watched = talk.evaluate(WATCH)
        first_lit = talk.page.inner_text("#captions .lit")
        talk.until(f"document.querySelector('#captions .lit').textContent !== {first_lit!r}")
        talk.until_idle()
        dropped = talk.evaluate(f"{VIDEO}.getVideoPlaybackQuality().droppedVideoFrames")
        report(f"{media}: {dropped} frames dropped of an answer")

        assert watched["readyState"] >= 2
        assert watched["changes"] >= 6
        assert watched["times"] == sorted(watched["times"])
        assert watched["times"][-1] > watched["times"][0] + 0.5
        assert watched["loudest"] > 0.02
        assert first_lit.strip()
        assert len(talk.answer()) > 40
        assert talk.page.locator("#waterfall li").count() >= 4
        assert talk.page.inner_text("#timing-title").startswith("First picture after ")
        assert talk.complaints == []


@pytest.mark.parametrize("media", ["webrtc", "ws"])
def test_stop_silences_without_the_gateway_and_keeps_what_was_heard(
    browser: Browser, mesh: WebMesh, media: str
) -> None:
    with talking(browser, mesh, media=media) as talk:
        talk.ask("How are you built?")
        talk.until_speaking()
        talk.until("document.querySelector('#captions .lit').textContent.length > 12")
        whole = len(talk.answer())
        talk.evaluate(STOP)
        talk.until("document.querySelector('.message.them:last-child footer')")

        assert "interrupted" in talk.answer()
        assert len(talk.answer()) < whole + len("interrupted")
        assert talk.evaluate(STATE) == "idle"
        talk.ask("What can you do?")
        talk.until_speaking()


@pytest.mark.parametrize("lit_chars", [0, 3], ids=["at once", "after words"])
def test_new_question_interrupts_the_answer(
    browser: Browser, mesh: WebMesh, lit_chars: int
) -> None:
    with talking(browser, mesh) as talk:
        talk.ask("How are you built?")
        talk.until_speaking()
        talk.until(f"document.querySelector('#captions .lit').textContent.length >= {lit_chars}")
        talk.ask("You are great.")
        talk.until("[...document.querySelectorAll('.message.me')].length === 2")
        talk.until("document.querySelectorAll('.message.them footer').length === 1")
        talk.until_speaking()
        talk.until_idle()

        assert talk.page.locator(".message.me").all_inner_texts()[-1].endswith("You are great.")
        assert "interrupted" not in talk.answer()


def test_chinese_question_is_answered_in_chinese(browser: Browser, mesh: WebMesh) -> None:
    with talking(browser, mesh, locale="zh-CN") as talk:
        talk.ask("你会说英文吗？")
        talk.until_speaking()
        caption = talk.until("document.querySelector('#captions .lit').textContent")
        talk.until_idle()

        assert talk.page.inner_text(".disclosure").startswith("您正在与人工智能对话")
        assert any("\u4e00" <= char <= "\u9fff" for char in caption)
        assert sum("\u4e00" <= char <= "\u9fff" for char in talk.answer()) > 10
        assert talk.page.inner_text("#timing-title").endswith("秒后出现画面")


def test_closed_tab_ends_the_work_for_it(browser: Browser, mesh: WebMesh) -> None:
    with talking(browser, mesh) as talk:
        talk.ask("How are you built?")
        talk.until_speaking()
        mesh.until_rendering(1)
    mesh.until_rendering(0)
