"""One peer, against a real one of aiortc on loopback."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription

from anima.avatar.v1.avatar_pb2 import Activity
from gateway.webrtc.peer import Peer
from gateway.webrtc.program import Program
from tests.unit.web.live.test_program import named_loop


async def test_browser_that_has_never_reported_is_silent_since_it_was_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing(receiver: RTCRtpReceiver, packet: Any) -> None:
        return

    # What a browser does that is cut off as soon as it is connected.
    monkeypatch.setattr(RTCRtpReceiver, "_send_rtcp", nothing)
    connected = asyncio.Event()

    def changed() -> None:
        if peer.connected:
            connected.set()

    program = Program(named_loop("idle", Activity.ACTIVITY_IDLE), changed=lambda playing: None)
    peer = Peer(program, ice_servers=(), report=lambda playing: None, changed=changed)
    browser = RTCPeerConnection()
    for kind in ("audio", "video"):
        browser.addTransceiver(kind, direction="recvonly")
    try:
        await browser.setLocalDescription(await browser.createOffer())
        answer = await peer.answer(browser.localDescription.sdp)
        await browser.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(10):
            await connected.wait()
            while await peer.silent_s() < 0.2:  # noqa: ASYNC110 (time itself has no event)
                await asyncio.sleep(0.01)
    finally:
        await browser.close()
        await peer.close()
