"""A browser's side of a peer connection, by aiortc on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiortc import RTCPeerConnection, RTCSessionDescription


@asynccontextmanager
async def browser_that_offers(answer: Callable[[str], Awaitable[str]]) -> AsyncIterator[None]:
    """Offers to receive audio and video, and applies the answer.

    Args:
        answer: Returns the answer to an offer, both as SDP.
    """
    browser = RTCPeerConnection()
    for kind in ("audio", "video"):
        browser.addTransceiver(kind, direction="recvonly")
    try:
        await browser.setLocalDescription(await browser.createOffer())
        sdp = await answer(browser.localDescription.sdp)
        await browser.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        yield
    finally:
        await browser.close()
