"""Media over WebRTC: the talking head's own encoding arrives; another transport without UDP."""

import time
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Playwright

from tests.figures import report
from tests.web.conftest import WebMesh, chromium
from tests.web.talking import SCREEN, STATE, Talk, talking

pytestmark = pytest.mark.browser

# Keeps the page's peer connections, and counts what they decode.
KEEP_PEERS = """
const peers = [];
const Plain = RTCPeerConnection;
window.RTCPeerConnection = class extends Plain {
  constructor(...all) { super(...all); peers.push(this); }
};
window.received = async () => {
  const found = {};
  for (const report of (await peers.at(-1).getStats()).values()) {
    if (report.type === "inbound-rtp") found[report.kind] = report;
    if (report.type === "codec") found[report.id] = report;
  }
  const { video, audio } = found;
  return {
    video: found[video?.codecId]?.mimeType,
    audio: found[audio?.codecId]?.mimeType,
    line: found[video?.codecId]?.sdpFmtpLine,
    width: video?.frameWidth,
    decoded: video?.framesDecoded ?? 0,
    keyFrames: video?.keyFramesDecoded,
    dropped: video?.framesDropped,
    concealed: audio?.concealedSamples - audio?.silentConcealedSamples,
    samples: audio?.totalSamplesReceived,
  };
};
"""
NO_UDP = """
const send = RTCPeerConnection.prototype.setRemoteDescription;
RTCPeerConnection.prototype.setRemoteDescription = function (answer) {
  const sdp = answer.sdp.replace(/^a=candidate.*\\r\\n/gm, "");
  return send.call(this, { ...answer, sdp });
};
"""

NO_UDP_AT_FIRST = NO_UDP.replace(
    "const sdp", "if (window.peersBefore++) return send.call(this, answer);\n  const sdp"
).replace("const send", "window.peersBefore = 0;\nconst send")


def opened(context: BrowserContext, mesh: WebMesh, script: str) -> Talk:
    page = context.new_page()
    page.add_init_script(script)
    talk = Talk(page)
    page.goto(mesh.page)
    page.wait_for_selector("#status[data-state=online]")
    return talk


def test_h264_is_passed_through_and_never_stops(browser: Browser, mesh: WebMesh) -> None:
    context = browser.new_context()
    talk = opened(context, mesh, KEEP_PEERS)
    talk.page.wait_for_selector("#screen[data-media=live]")
    talk.until("received().then(({ decoded }) => decoded > 10)")
    talk.ask("You are great.")
    talk.until_speaking()
    speaking = received(talk)
    talk.until_idle()
    after = received(talk)
    talk.until(f"received().then(({{ decoded }}) => decoded > {after['decoded'] + 20})")
    idle = received(talk)
    context.close()

    assert speaking["video"] == "video/H264"
    assert speaking["audio"] == "audio/opus"
    assert "profile-level-id=42" in speaking["line"]
    assert speaking["width"] == 512  # the avatar's own: nothing was scaled or re-encoded
    concealed = idle["concealed"] / idle["samples"]
    report(f"WebRTC: {idle['dropped']} frames dropped, {concealed:.1%} of the sound concealed")
    assert talk.complaints == []


def received(talk: Talk) -> dict[str, Any]:
    found: dict[str, Any] = talk.evaluate("received()")
    return found


def test_without_udp_the_answer_comes_over_the_websocket(browser: Browser, mesh: WebMesh) -> None:
    context = browser.new_context()
    talk = opened(context, mesh, NO_UDP)
    talk.ask("What can you do?")
    talk.until(f"document.getElementById('talk').currentTime > 0.3 && {STATE} === 'talk'")

    assert talk.evaluate(f"{SCREEN}.dataset.media") is None
    assert talk.page.is_hidden("#notice")
    context.close()


def test_webrtc_is_tried_again_if_the_first_attempt_took_too_long(
    browser: Browser, mesh: WebMesh
) -> None:
    context = browser.new_context()
    talk = opened(context, mesh, NO_UDP_AT_FIRST)
    talk.page.wait_for_selector("#screen[data-media=live]")
    assert talk.evaluate("peersBefore") == 2
    context.close()


def test_page_tells_how_far_pictures_and_sound_are_apart(browser: Browser, mesh: WebMesh) -> None:
    before, _ = mesh.av_offsets()
    with talking(browser, mesh) as talk:
        talk.ask("How are you built?")
        talk.until_speaking()
        talk.until_idle()
    count, sum_s = mesh.av_offsets()
    assert count - before >= 2
    # Only that both are read from the same clock: test_sync measures how far they are apart.
    assert sum_s / count < 60


def test_lost_webrtc_line_is_followed_by_the_websocket(browser: Browser, mesh: WebMesh) -> None:
    context = browser.new_context()
    talk = opened(context, mesh, KEEP_PEERS.replace("const peers", "window.peers"))
    talk.page.wait_for_selector("#screen[data-media=live]")
    talk.evaluate("peers.at(-1).close()")
    talk.evaluate("peers.at(-1).onconnectionstatechange()")
    talk.until(f"{SCREEN}.dataset.media === undefined")
    talk.ask("What can you do?")
    talk.until(f"document.getElementById('talk').currentTime > 0.3 && {STATE} === 'talk'")
    context.close()


def test_media_can_be_forced_to_the_websocket(browser: Browser, mesh: WebMesh) -> None:
    with talking(browser, mesh, media="ws") as talk:
        talk.ask("What can you do?")
        talk.until_speaking()
        assert talk.evaluate(f"{SCREEN}.dataset.media") is None


def test_browser_that_is_cut_off_frees_its_conversation(
    playwright: Playwright, mesh: WebMesh
) -> None:
    before = set(psutil.Process().children(recursive=True))
    with chromium(playwright) as browser, talking(browser, mesh) as talk:
        talk.ask("How are you built?")
        talk.until_speaking()
        mesh.until_rendering(1)
        # Neither a goodbye nor a closed socket, as if its network were unplugged.
        cut_off = [p for p in psutil.Process().children(recursive=True) if is_of(p, before)]
        assert cut_off
        for process in cut_off:
            process.suspend()
        try:
            since = time.monotonic()
            mesh.until_rendering(0)
            report(f"browser cut off: freed after {time.monotonic() - since:.1f} s")
        finally:
            for process in cut_off:
                process.resume()


def is_of(process: psutil.Process, before: set[psutil.Process]) -> bool:
    return process not in before and "chrom" in process.name()
