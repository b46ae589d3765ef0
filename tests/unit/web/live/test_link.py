"""The WebRTC side of a page: the effect of an error in one of its tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc import RTCPeerConnection
from av.error import FFmpegError

from gateway.realtime.client_events import ClientConfig
from gateway.stages.mesh import Mesh
from gateway.webrtc.idle_loop import IdleLoop
from gateway.webrtc.link import LiveLink, LiveMedia
from gateway.webrtc.peer import Peer
from gateway.webrtc.program import Program
from services.runtime.errors import InvalidRequest
from services.runtime.process.compute import Compute
from testing.fakes.mesh import FakeMesh
from tests.unit.web.live.browser import browser_that_offers

Posted = asyncio.Queue[dict[str, Any]]
FMP4 = ClientConfig(media="fmp4")


@asynccontextmanager
async def new_link(mesh: Mesh) -> AsyncIterator[tuple[LiveLink, LiveMedia, Posted]]:
    posted: Posted = asyncio.Queue()
    live, compute = LiveMedia(mesh), Compute(threads=1, name="test")
    link = LiveLink(
        live=live,
        compute=compute,
        post=posted.put_nowait,
        report=lambda playing: None,
        idle=lambda: None,
        gone=lambda: None,
    )

    try:
        yield link, live, posted
    finally:
        await link.close()
        compute.close()


@asynccontextmanager
async def connected_link(mesh: Mesh) -> AsyncIterator[tuple[LiveLink, LiveMedia, Posted]]:
    async with new_link(mesh) as (link, live, posted):

        async def answer(sdp: str) -> str:
            await link.offer({"sdp": sdp}, FMP4)
            return str((await until(posted, "anima.webrtc.answer"))["sdp"])

        async with browser_that_offers(answer):
            await until(posted, "anima.webrtc.connected")
            yield link, live, posted


async def until(posted: Posted, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(90):
        while (event := await posted.get())["type"] != kind:
            pass
    return event


@pytest.mark.parametrize(
    ("owner", "name"), [(Program, "sound"), (Peer, "silent_s")], ids=["the pump", "the watch"]
)
async def test_fault_sends_the_media_over_the_websocket_again(
    owner: type[Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        FakeMesh() as stages,
        stages.mesh() as mesh,
        connected_link(mesh) as (link, live, posted),
    ):
        monkeypatch.setattr(owner, name, lambda self: 1 / 0)
        await until(posted, "anima.webrtc.closed")
        assert not link.connected
        assert live.peers == 0


async def test_peer_that_never_connects_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page without UDP, or a client that sends an offer and nothing else."""
    monkeypatch.setattr("gateway.webrtc.link.CONNECT_S", 0.2)
    async with FakeMesh() as stages, stages.mesh(capacity=1) as mesh:
        async with new_link(mesh) as (link, live, posted):
            for _ in range(2):
                await link.offer({"sdp": await offer_without_candidates()}, FMP4)
                assert live.peers == 1
                await until(posted, "anima.webrtc.closed")
                assert live.peers == 0
        with pytest.raises(InvalidRequest, match="sdp"):
            await link.offer({"sdp": "v=0"}, FMP4)
        assert live.peers == 0


async def offer_without_candidates() -> str:
    """Returns the offer of a peer that says nothing more."""
    peer = RTCPeerConnection()
    for kind in ("audio", "video"):
        peer.addTransceiver(kind, direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    lines = peer.localDescription.sdp.splitlines(keepends=True)
    await peer.close()
    left_out = ("a=candidate", "a=end-of-candidates")
    return "".join(line for line in lines if not line.startswith(left_out))


async def test_picture_that_cannot_be_coded_leaves_the_media_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(self: IdleLoop, frame: int) -> Any:
        raise FFmpegError(1, "cannot be coded")

    monkeypatch.setattr(IdleLoop, "_make_entry", fail)
    async with (
        FakeMesh() as stages,
        stages.mesh() as mesh,
        connected_link(mesh) as (link, _, _),
    ):
        assert link.program is not None
        await link._make_entry(link.program.idle_loop, 3)
        assert link.program.idle_loop.entry(3) is None
        assert link.connected
