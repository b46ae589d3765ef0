"""Media over a TURN server, and the loss of that path in the middle of an answer."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aioice.ice import get_host_addresses
from playwright.sync_api import Browser

from tests.requirements import need
from tests.web.clicking import clicking_gateway
from tests.web.talking import SCREEN, STATE, Talk

pytestmark = pytest.mark.browser

USER, CREDENTIAL, REALM = "anima", "loop", "anima.test"
SENTENCES = " ".join(f"This is sentence number {n} of the long answer." for n in range(1, 6))

# Lets the page use relayed candidates alone, and tells which pair carries its media.
ONLY_RELAY = """
const peers = [];
const Plain = RTCPeerConnection;
window.RTCPeerConnection = class extends Plain {
  constructor(config) { super({ ...config, iceTransportPolicy: "relay" }); peers.push(this); }
};
window.line = async () => {
  const reports = [...(await peers.at(-1).getStats()).values()];
  const byId = (id) => reports.find((report) => report.id === id);
  const transport = reports.find(({ type }) => type === "transport");
  const pair = byId(transport?.selectedCandidatePairId);
  const video = reports.find(({ type, kind }) => type === "inbound-rtp" && kind === "video");
  return {
    local: byId(pair?.localCandidateId)?.candidateType,
    received: pair?.bytesReceived ?? 0,
    decoded: video?.framesDecoded ?? 0,
  };
};
"""


# Keeps what is said of answers: media over the WebSocket, and when which sample leaves by WebRTC.
KEEP_MEDIA = """
window.media = [];
window.leaving = null;
const PlainSocket = WebSocket;
window.WebSocket = class extends PlainSocket {
  constructor(...all) {
    super(...all);
    this.addEventListener("message", ({ data }) => {
      const event = typeof data === "string" ? JSON.parse(data) : {};
      if (event.type === "anima.media") media.push(event);
      if (event.type === "anima.live") window.leaving = { ...event, at: performance.now() };
    });
  }
};
"""


class TurnServer:
    """A coturn of the machine's own address."""

    def __init__(self, folder: Path) -> None:
        # Not loopback: a browser's sockets are bound to the network that leads to the peer.
        self.host = get_host_addresses(use_ipv4=True, use_ipv6=False)[0]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind((self.host, 0))
            self.port = int(free.getsockname()[1])
        command = [
            shutil.which("turnserver") or "turnserver",
            "-n",
            f"--listening-ip={self.host}",
            f"--listening-port={self.port}",
            f"--relay-ip={self.host}",
            "--lt-cred-mech",
            f"--user={USER}:{CREDENTIAL}",
            f"--realm={REALM}",
            "--no-tls",
            "--no-dtls",
            "--no-cli",
            "--log-file=stdout",
            f"--pidfile={folder / 'turn.pid'}",
            f"--userdb={folder / 'turn.db'}",
        ]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
        )

    @property
    def ice_servers(self) -> str:
        url = f"turn:{self.host}:{self.port}?transport=udp"
        return json.dumps([{"urls": url, "username": USER, "credential": CREDENTIAL}])

    def stop(self) -> None:
        """Kills it at once; no peer is notified."""
        self._process.kill()
        self._process.wait()


def sample(talk: Talk) -> int:
    """Returns the sample of the answer that is sent over WebRTC now."""
    script = """(() => {
      const { sample, sample_rate_hz, at } = window.leaving;
      return Math.round(sample + ((performance.now() - at) / 1000) * sample_rate_hz);
    })()"""
    return int(talk.evaluate(script))


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[TurnServer]:
    need("coturn")
    server = TurnServer(tmp_path)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def relayed(browser: Browser, turn: TurnServer) -> Iterator[Talk]:
    """Opens a page whose media is relayed, on a gateway that talks for long."""
    with clicking_gateway(answer=SENTENCES, ice_servers=turn.ice_servers) as address:
        context = browser.new_context()
        page = context.new_page()
        page.add_init_script(ONLY_RELAY)
        page.add_init_script(KEEP_MEDIA)
        talk = Talk(page)
        page.goto(address)
        page.wait_for_selector("#screen[data-media=live]")
        yield talk
        context.close()


def test_media_comes_over_the_turn_server(browser: Browser, turn: TurnServer) -> None:
    need("chromium")
    with relayed(browser, turn) as talk:
        talk.until("line().then(({ decoded }) => decoded > 20)")
        talk.ask("Say something long.")
        talk.until_speaking()
        line = talk.evaluate("line()")

        assert line["local"] == "relay"
        assert line["received"] > 1_000


def test_answer_goes_on_over_the_websocket_when_the_way_is_cut(
    browser: Browser, turn: TurnServer
) -> None:
    need("chromium")
    with relayed(browser, turn) as talk:
        talk.ask("Say something long.")
        talk.until_speaking()
        name = talk.evaluate("JSON.parse(sessionStorage.getItem('anima.conversation')).id")
        before = sample(talk)
        turn.stop()
        talk.until(f"{SCREEN}.dataset.media === undefined")
        talk.until(f"document.getElementById('talk').currentTime > 0.5 && {STATE} === 'talk'")
        first = talk.evaluate("media[0]")
        same = talk.page.locator(".message.them[aria-busy]").inner_text()
        talk.until_idle()
        whole = talk.answer()
        talk.ask("Once more.")
        talk.until(f"document.getElementById('talk').currentTime > 0.5 && {STATE} === 'talk'")

        # It goes on with video, and media that was lost meanwhile is heard again.
        assert first["media_type"].startswith("video/mp4")
        assert first["start_sample"] < before + first["sample_rate_hz"]
        assert "sentence number 1 of" in same
        assert "sentence number 5 of" in whole
        assert "interrupted" not in whole
        assert talk.evaluate("JSON.parse(sessionStorage.getItem('anima.conversation')).id") == name
        assert talk.page.is_hidden("#notice")
