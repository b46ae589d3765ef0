"""The WebRTC side of one page: signalling over its WebSocket, media to its peer, and a watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from anima.common.v1.common_pb2 import MediaChunk
from gateway.mesh import Mesh
from gateway.opening import check_config, open_with
from gateway.web.client_events import ClientConfig
from gateway.web.live.idle_loop import IdleLoops
from gateway.web.live.peer import Peer
from gateway.web.live.program import Playing, Program
from services.runtime.compute import Compute
from services.runtime.errors import Busy, FailedPrecondition
from services.runtime.logs import get_logger

WATCH_S = 0.5
SUSPECT_S = 2.0
"""Browsers report on video once a second: after this silence the page is asked if it lives."""
PONG_S = 2.0
GIVE_UP_S = 6.0
"""A page that lives but has received nothing for so long gets its media another way."""


class LiveMedia:
    """What all pages of a gateway share for WebRTC.

    Args:
        mesh: the stages.

    Attributes:
        loops: the idle loops.
        ice_servers: STUN and TURN servers.
        peers: how many there are; no more than conversations, since each costs work all the time.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.loops = IdleLoops(mesh)
        self.ice_servers = mesh.settings.ice_server_list
        self.peers = 0

    def enter(self) -> None:
        """Takes a place for a peer.

        Raises:
            Busy: there is none.
        """
        if self.peers >= self.mesh.settings.capacity:
            raise Busy("webrtc: all places are taken; media goes over the WebSocket")
        self.peers += 1

    def leave(self) -> None:
        """Gives a place back."""
        self.peers -= 1


class LiveLink:
    """WebRTC for one connection.

    Args:
        live: what all pages share.
        compute: for coding.
        post: sends an event to the page.
        report: told how far the answer has been played.
        idle: told twice a second which frame of the idle loop is shown.
        gone: told when the page does not live any more.
    """

    def __init__(
        self,
        *,
        live: LiveMedia,
        compute: Compute,
        post: Callable[[dict[str, Any]], None],
        report: Callable[[Playing], None],
        idle: Callable[[int], None],
        gone: Callable[[], None],
    ) -> None:
        self._live = live
        self._compute = compute
        self._post = post
        self._report = report
        self._idle = idle
        self._gone = gone
        self._peer: Peer | None = None
        self._avatar = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._pong = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Tells whether media goes by WebRTC."""
        return self._peer is not None and self._peer.connected

    @property
    def program(self) -> Program | None:
        """What the peer sees and hears; None without one."""
        return self._peer.program if self._peer is not None and self._peer.connected else None

    def config_event(self) -> dict[str, Any]:
        """Tells a page how to connect."""
        servers = [server.model_dump(exclude_none=True) for server in self._live.ice_servers]
        return {"type": "anima.webrtc.config", "ice_servers": servers}

    async def offer(self, event: dict[str, Any], config: ClientConfig) -> None:
        """Answers an offer of the page; an older peer ends.

        Raises:
            AnimaError: there is no peer to be had; media goes over the WebSocket.
        """
        await self.hang_up()
        if config.text_only or config.audio_only or config.media != "fmp4":
            raise FailedPrecondition("webrtc: this session has no video; see session.update")
        self._avatar = await self._avatar_of(config)
        loop = await self._live.loops.get(self._avatar)
        self._live.enter()
        self._peer = peer = Peer(
            Program(loop, changed=self._playing),
            ice_servers=self._live.ice_servers,
            report=self._report,
            changed=self._on_state,
        )
        try:
            sdp = await peer.answer(event.get("sdp"))
        except BaseException:
            await self.hang_up()
            raise
        self._post({"type": "anima.webrtc.answer", "sdp": sdp})

    async def candidate(self, event: dict[str, Any]) -> None:
        """Takes a candidate of the page."""
        if self._peer is not None:
            await self._peer.add_candidate(event)

    async def show(self, config: ClientConfig) -> None:
        """Shows the idle loop of another avatar, if another is chosen."""
        if self._peer is None:
            return
        avatar = await self._avatar_of(config)
        if avatar != self._avatar:
            self._avatar = avatar
            self._peer.program.show_idle(await self._live.loops.get(avatar))

    def take(self, chunk: MediaChunk) -> bool:
        """Takes media of an answer; False if it must go another way."""
        if self._peer is None or not self._peer.connected:
            return False
        self._peer.program.append(chunk)
        return True

    def finish(self, turn_id: str, idle_frame: int | None) -> None:
        """Says that an answer has no more media."""
        if (program := self.program) is not None:
            self._prepare(program.finish(turn_id, idle_frame))

    def hold(self, held: bool) -> None:
        """Holds the answer, or lets it go on."""
        if (program := self.program) is not None:
            program.hold(held)

    def interrupt(self) -> None:
        """Drops what has not been played."""
        if (program := self.program) is not None:
            self._prepare(program.interrupt())

    def pong(self) -> None:
        """Notes that the page lives."""
        self._pong.set()

    async def hang_up(self) -> None:
        """Ends the peer, if there is one."""
        peer, self._peer = self._peer, None
        if peer is not None:
            self._live.leave()
            await peer.close()

    async def close(self) -> None:
        """Ends everything."""
        await self.hang_up()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _playing(self, playing: Playing) -> None:
        self._post(
            {
                "type": "anima.live",
                "turn_id": playing.turn_id,
                "epoch": playing.epoch,
                "sample": playing.sample,
                "sample_rate_hz": playing.sample_rate_hz,
                "running": playing.running,
                "done": playing.done,
                "underruns": playing.underruns,
            }
        )
        self._report(playing)

    def _on_state(self) -> None:
        peer = self._peer
        if peer is None:
            return
        if peer.connected:
            self._post({"type": "anima.webrtc.connected"})
            self._hold(self._watch(peer))
        elif peer.lost:
            self._hold(self._lose(peer))

    async def _lose(self, peer: Peer) -> None:
        if peer is self._peer:
            self._post({"type": "anima.webrtc.closed"})
            await self.hang_up()

    async def _watch(self, peer: Peer) -> None:
        """Notices within seconds what ICE would notice within half a minute."""
        while peer is self._peer:
            self._idle(peer.program.idle_frame)
            await asyncio.sleep(WATCH_S)
            silent_s = await peer.silent_s()
            if silent_s > GIVE_UP_S:
                get_logger().info("a peer receives nothing", silent_s=round(silent_s, 1))
                self._hold(self._lose(peer))
                return
            if silent_s > SUSPECT_S and peer is self._peer:
                await self._ask_if_alive()

    async def _ask_if_alive(self) -> None:
        self._pong.clear()
        self._post({"type": "anima.ping"})
        try:
            async with asyncio.timeout(PONG_S):
                await self._pong.wait()
        except TimeoutError:
            self._gone()

    def _prepare(self, frame: int | None) -> None:
        if frame is not None and self._peer is not None:
            self._hold(self._peer.program.idle_loop.prepare(frame, self._compute))

    def _hold(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _avatar_of(self, config: ClientConfig) -> str:
        wanted = config.converse_config()
        check_config(wanted)
        return open_with(wanted, await self._live.mesh.catalog()).avatar
