"""The microphone's worklet, run offline: the loudest channel is heard."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.web.talking import open_page

pytestmark = pytest.mark.browser

# The worklet's PCM16 of one second of a 440 Hz tone with these gains of left and right.
RECORD = """async ([left, right]) => {
  const context = new OfflineAudioContext(2, 48000, 48000);
  await context.audioWorklet.addModule(new URL("static/mic-worklet.js", document.baseURI));
  const buffer = context.createBuffer(2, 48000, 48000);
  [left, right].forEach((gain, channel) => {
    const samples = buffer.getChannelData(channel);
    samples.forEach((_, at) => (samples[at] = gain * Math.sin((2 * Math.PI * 440 * at) / 48000)));
  });
  const source = new AudioBufferSourceNode(context, { buffer });
  const node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
  const heard = [];
  node.port.onmessage = ({ data }) => heard.push(...new Int16Array(data.pcm));
  source.connect(node);
  source.start();
  await context.startRendering();
  while (heard.length < 15000) await new Promise(requestAnimationFrame);
  return heard.slice(8000);
}"""


def test_sound_in_any_channel_is_heard(browser: Browser, scripted_page: str) -> None:
    with open_page(browser, scripted_page, (1280, 800), "en-US") as talk:
        for gains in ((0.5, 0.5), (0.5, 0), (0, 0.5), (0.5, -0.5), (0.01, 0.5)):
            heard: list[Any] = talk.evaluate(RECORD, list(gains))

            loudness = (sum(sample * sample for sample in heard) / len(heard)) ** 0.5 / 32768
            assert loudness == pytest.approx(0.5 / 2**0.5, rel=0.05), gains
