"""One peer, against a real one of aiortc on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc import RTCRtpReceiver

from anima.avatar.v1.avatar_pb2 import Activity
from gateway.webrtc.peer import Peer
from gateway.webrtc.program import Program
from services.runtime.errors import InvalidRequest
from tests.unit.web.live.browser import browser_that_offers
from tests.unit.web.live.test_program import named_loop


@asynccontextmanager
async def connected_peer(failures: asyncio.Queue[BaseException]) -> AsyncIterator[Peer]:
    connected = asyncio.Event()

    def changed() -> None:
        if peer.connected:
            connected.set()

    program = Program(named_loop("idle", Activity.ACTIVITY_IDLE), changed=lambda playing: None)
    peer = Peer(
        program,
        ice_servers=(),
        report=lambda playing: None,
        changed=changed,
        failed=failures.put_nowait,
    )
    try:
        async with browser_that_offers(peer.answer):
            await asyncio.wait_for(connected.wait(), 90)
            yield peer
    finally:
        await peer.close()


async def test_browser_that_has_never_reported_is_silent_since_it_was_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing(receiver: RTCRtpReceiver, packet: Any) -> None:
        return

    # The behaviour of a browser that is cut off as soon as it is connected.
    monkeypatch.setattr(RTCRtpReceiver, "_send_rtcp", nothing)
    failures: asyncio.Queue[BaseException] = asyncio.Queue()
    async with connected_peer(failures) as peer, asyncio.timeout(90):
        while await peer.silent_s() < 0.2:  # noqa: ASYNC110 (time itself has no event)
            await asyncio.sleep(0.01)
    assert failures.empty()


async def test_failure_of_the_pump_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: asyncio.Queue[BaseException] = asyncio.Queue()
    async with connected_peer(failures):
        monkeypatch.setattr(Program, "sound", lambda self: 1 / 0)
        assert isinstance(await asyncio.wait_for(failures.get(), 90), ZeroDivisionError)


async def test_candidates_are_bounded() -> None:
    failures: asyncio.Queue[BaseException] = asyncio.Queue()
    async with connected_peer(failures) as peer:
        event: dict[str, object] = {"candidate": "", "sdpMid": "0"}
        for _ in range(64):
            await peer.add_candidate(event)
        with pytest.raises(InvalidRequest, match="at most 64"):
            await peer.add_candidate(event)
