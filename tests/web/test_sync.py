"""Audio and video are in sync for the person: measured inside the browser.

Each answer clicks, and the test card is white in the frame that belongs to a click. Frames are
timed by requestVideoFrameCallback. Audio over WebRTC is timed where it leaves the jitter buffer,
plus the delay of the device behind it, as reported by the browser's statistics: an AudioContext
that taps the track hears it about 30 ms later than the person, because of its own buffers. Audio
over the WebSocket is timed by such a tap, because nothing closer is available. All on the clock of
the page.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser

from tests.e2e.test_flash_and_click import CLICK_EVERY_MS
from tests.requirements import need
from tests.web.clicking import clicking_gateway
from tests.web.talking import Talk

pytestmark = pytest.mark.browser

LARGEST_MEDIAN_MS = 45.0
CLICKS = 7
ROUNDS = 5
"""On a quiet machine the first one is enough; a busy one fills and empties buffers meanwhile."""

KEEP_PEERS = """
window.peers = [];
const Plain = RTCPeerConnection;
window.RTCPeerConnection = class extends Plain {
  constructor(...all) { super(...all); peers.push(this); }
};
"""

# Collects flashes and clicks until there are enough of both.
MEASURE = """async ({ wanted }) => {
  const live = document.getElementById("screen").dataset.media === "live";
  const video = document.getElementById(live ? "live" : "talk");
  const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  const flashes = [], clicks = [];
  const clicked = (time) => {
    if (!clicks.length || time - clicks.at(-1) > 100) clicks.push(time);
  };
  let white = false;
  const look = (now, { expectedDisplayTime }) => {
    draw.drawImage(video, 0, 0, 8, 8);
    const bright = draw.getImageData(4, 4, 1, 1).data[0] > 128;
    if (bright && !white) flashes.push(expectedDisplayTime);
    white = bright;
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  const deviceMs = async () => {
    const reports = [...(await peers.at(-1).getStats()).values()];
    const device = reports.find(({ type }) => type === "media-playout");
    return (device.totalPlayoutDelay / device.totalSamplesCount) * 1000;
  };
  const taken = async (reader, delayMs) => {
    const { value } = await reader.read();
    const now = performance.now();
    const samples = new Float32Array(value.numberOfFrames);
    value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
    const at = samples.findIndex((sample) => Math.abs(sample) > 0.3);
    if (at >= 0) clicked(now - ((samples.length - at) / value.sampleRate) * 1000 + delayMs);
    value.close();
  };
  const track = (live ? video.srcObject : video.captureStream()).getAudioTracks()[0].clone();
  const end = performance.now() + 15_000;
  const enough = () => Math.min(flashes.length, clicks.length) >= wanted || performance.now() > end;
  if (live) {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    const delayMs = await deviceMs();
    while (!enough()) await taken(reader, delayMs);
    track.stop();
    return { flashes, clicks };
  }
  const audio = new AudioContext();
  const analyser = new AnalyserNode(audio, { fftSize: 16384 });
  audio.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const heard = new Float32Array(analyser.fftSize);
  let seen = audio.currentTime;
  while (!enough()) {
    await new Promise(requestAnimationFrame);
    const now = audio.currentTime;
    const { contextTime, performanceTime } = audio.getOutputTimestamp();
    analyser.getFloatTimeDomainData(heard);
    for (let index = 0; index < heard.length; index += 1) {
      const at = now - (heard.length - index) / audio.sampleRate;
      if (at <= seen || Math.abs(heard[index]) < 0.3) continue;
      clicked(performanceTime + (at - contextTime) * 1000);
    }
    seen = now;
  }
  track.stop();
  await audio.close();
  return { flashes, clicks };
}"""


@pytest.fixture(scope="module")
def page_address() -> Iterator[str]:
    need("chromium")
    with clicking_gateway() as address:
        yield address


@pytest.mark.parametrize("media", ["webrtc", "ws"])
def test_flash_and_click_meet_in_the_browser(
    browser: Browser, page_address: str, media: str
) -> None:
    page = browser.new_page()
    page.add_init_script(KEEP_PEERS)
    talk = Talk(page)
    page.goto(f"{page_address}?media={media}")
    page.wait_for_selector("#status[data-state=online]")
    if media == "webrtc":
        page.wait_for_selector("#screen[data-media=live]")
    medians: list[float] = []
    for _ in range(ROUNDS):
        # A browser that had no time to show the flashes measures nothing; another round may.
        if (offsets := offsets_ms(talk)).size >= CLICKS - 1:
            medians.append(float(np.median(offsets)))
            if abs(medians[-1]) < LARGEST_MEDIAN_MS:
                break
    page.close()
    assert medians, f"no round in {ROUNDS} had {CLICKS} flashes and clicks"
    print(f"{media}: picture after sound, medians of the rounds {np.round(medians, 1)} ms")

    assert abs(medians[-1]) < LARGEST_MEDIAN_MS


def offsets_ms(talk: Talk) -> NDArray[np.float64]:
    """Asks once, and returns how long after its click each flash was shown."""
    talk.until_idle()
    talk.ask("Click.")
    talk.until("document.getElementById('screen').dataset.state === 'talk'")
    seen = talk.evaluate(MEASURE, {"wanted": CLICKS})
    flashes, clicks = np.array(seen["flashes"]), np.array(seen["clicks"])
    if min(flashes.size, clicks.size) < CLICKS:
        return np.array([])
    nearest = flashes[np.abs(flashes[:, None] - clicks[None, :]).argmin(axis=0)]
    offsets = nearest - clicks
    paired: NDArray[np.float64] = offsets[np.abs(offsets) < CLICK_EVERY_MS / 2]
    return paired
