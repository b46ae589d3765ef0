"""The WebRTC side of one page: signalling over its WebSocket, media to its peer, monitoring."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from av.error import FFmpegError

from anima.avatar.v1.avatar_pb2 import Activity
from anima.common.v1.common_pb2 import MediaChunk
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.realtime.client_events import ClientConfig, whole_number
from gateway.session.opening import check_config, open_with
from gateway.stages.mesh import Mesh
from gateway.webrtc.attention import IDLE, LISTENING, THINKING, Attention, Pace
from gateway.webrtc.idle_loop import IdleLoop
from gateway.webrtc.idle_loops import IdleLoops
from gateway.webrtc.peer import Peer
from gateway.webrtc.program import Playing, Program
from services.runtime.errors import AnimaError, Busy, FailedPrecondition, InvalidRequest
from services.runtime.identity.caller import caller
from services.runtime.observing.logs import get_logger
from services.runtime.process.compute import Compute
from services.runtime.process.tasks import Tasks

WATCH_S = 0.5
SUSPECT_S = 2.0
"""Browsers report on video once a second; after this silence the page is pinged."""
PONG_S = 1.2
GIVE_UP_S = 6.0
"""A page that responds but has received nothing for this long gets its media another way."""
CONNECT_S = 15.0
"""A peer that has not connected by then is closed: ICE waits without end for one that is silent."""
_MAX_OFFSET_US = 60_000_000
_CROSS_AGAIN_S = 0.2
_LOOK_FOR_ANOTHER_VERSION = 20
"""The number of watch rounds between checks whether the avatar was replaced."""


class LiveMedia:
    """The state that all pages of a gateway share for WebRTC.

    Args:
        mesh: The stages.

    Attributes:
        loops: The idle loops.
        pace: How long answers take to start.
        ice_servers: STUN and TURN servers.
        peers: The number of peers; at most the number of conversations, because each peer causes
            constant work.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.loops = IdleLoops(mesh)
        self.pace = Pace()
        self.ice_servers = mesh.settings.ice_server_list
        self.peers = 0

    def enter(self) -> None:
        """Takes a place for a peer.

        Raises:
            Busy: There is no free place.
        """
        if self.peers >= self.mesh.settings.capacity:
            raise Busy("webrtc: all places are taken; media is sent over the WebSocket")
        self.peers += 1

    def leave(self) -> None:
        """Frees a place."""
        self.peers -= 1


class LiveLink:
    """WebRTC for one connection.

    Args:
        live: The state that all pages share.
        compute: The threads for encoding.
        post: Sends an event to the page.
        report: Called with how far the answer has been played.
        idle: Called twice a second, and when the look changes, because another frame or loop is
            shown.
        gone: Called when the page no longer responds.
    """

    def __init__(
        self,
        *,
        live: LiveMedia,
        compute: Compute,
        post: Callable[[dict[str, Any]], None],
        report: Callable[[Playing], None],
        idle: Callable[[], None],
        gone: Callable[[], None],
    ) -> None:
        self._live = live
        self._compute = compute
        self._post = post
        self._report = report
        self._idle = idle
        self._gone = gone
        self._peer: Peer | None = None
        self._config = ClientConfig()
        self._avatar = self._listens_as = ("", "")
        self._attention = Attention(live.pace, changed=self._on_look)
        self._look = asyncio.Event()
        self._tasks = Tasks("webrtc", on_failure=self._on_failure)
        self._pong = asyncio.Event()
        self._offset_us: int | None = None

    @property
    def connected(self) -> bool:
        """True if media is sent over WebRTC."""
        return self._peer is not None and self._peer.connected

    @property
    def program(self) -> Program | None:
        """The programme of the peer; None without a peer."""
        return self._peer.program if self._peer is not None and self._peer.connected else None

    def config_event(self) -> dict[str, Any]:
        """Returns the event that configures the page's connection."""
        servers = [server.model_dump(exclude_none=True) for server in self._live.ice_servers]
        return {"type": "anima.webrtc.config", "ice_servers": servers}

    async def offer(self, event: dict[str, Any], config: ClientConfig) -> None:
        """Answers an offer of the page; closes an older peer.

        Raises:
            AnimaError: No peer can be created; media is sent over the WebSocket.
        """
        self.hang_up()
        self._config = config
        if config.text_only or config.audio_only or config.media != "fmp4":
            raise FailedPrecondition("webrtc: this session has no video; see session.update")
        self._avatar = await self._avatar_of(config)
        loop = await self._loop(IDLE)
        self._live.enter()
        self._peer = peer = Peer(
            Program(loop, changed=self._playing),
            ice_servers=self._live.ice_servers,
            report=self._report,
            changed=self._on_state,
            failed=lambda _: self._lose(peer),
        )
        try:
            sdp = await peer.answer(event.get("sdp"))
        except BaseException:
            self.hang_up()
            raise
        self._post({"type": "anima.webrtc.answer", "sdp": sdp})
        self._tasks.start(self._await_connection(peer), name="webrtc connection")

    async def candidate(self, event: dict[str, Any]) -> None:
        """Adds an ICE candidate of the page."""
        if self._peer is not None:
            await self._peer.add_candidate(event)

    async def show(self, config: ClientConfig) -> None:
        """Shows the idle loop of another avatar, if another one was chosen or it was replaced."""
        self._config = config
        if (peer := self._peer) is None:
            return
        avatar = await self._avatar_of(config)
        if avatar != self._avatar:
            self._avatar = avatar
            peer.program.show_idle(await self._loop(IDLE))

    def listens(self) -> None:
        """Prepares the listening look once a microphone is on, because it may have to be drawn."""
        if self._peer is not None and self._listens_as != self._avatar:
            self._listens_as = self._avatar
            self._tasks.start(self._fetch_listening(), name="webrtc listening look")

    def note(self, response: pb.ConverseResponse) -> None:
        """Processes an event of the session, which may change the look of the face."""
        self._attention.note(response)

    def asked(self) -> None:
        """Records that a question was typed, before its answer is started."""
        self._attention.asked()
        self._idle()

    @property
    def idle_shown(self) -> tuple[int, Activity.ValueType] | None:
        """The frame and loop shown now, or at the start of an answer; None without a peer."""
        if (program := self.program) is None:
            return None
        shown = program.shown_loop.activity
        return program.idle_frame, THINKING if self._attention.thinks_at_answer else shown

    def take(self, chunk: MediaChunk) -> bool:
        """Takes media of an answer; returns False if it must be sent another way."""
        if self._peer is None or not self._peer.connected:
            return False
        self._peer.program.append(chunk)
        return True

    def finish(self, turn_id: str, idle_frame: int | None) -> None:
        """Reports that an answer has no more media."""
        if (program := self.program) is not None:
            self._prepare(program.finish(turn_id, idle_frame))

    def hold(self, held: bool) -> None:
        """Pauses or resumes the answer."""
        if (program := self.program) is not None:
            program.hold(held)

    def interrupt(self) -> None:
        """Drops media that has not been played."""
        if (program := self.program) is not None:
            self._prepare(program.interrupt())

    async def note_offset(self, event: dict[str, Any]) -> None:
        """Records by how much the page shows video ahead of its audio.

        Raises:
            InvalidRequest: The offset is not a number, or more than a minute.
        """
        offset_us = whole_number(event, "us", -_MAX_OFFSET_US)
        if offset_us > _MAX_OFFSET_US:
            raise InvalidRequest("us: video and audio are more than a minute apart")
        if abs(offset_us) >= abs(self._offset_us or 0):
            self._offset_us = offset_us

    def take_offset_us(self) -> int | None:
        """Returns the largest offset since the last call; None if none was reported."""
        offset_us, self._offset_us = self._offset_us, None
        return offset_us

    async def pong(self, event: dict[str, Any]) -> None:
        """Records that the page responds."""
        self._pong.set()

    def hang_up(self) -> None:
        """Closes the peer, if there is one."""
        peer, self._peer = self._peer, None
        if peer is not None:
            self._live.leave()
            # Not awaited: releasing an unreachable TURN server is tried for half a minute.
            self._live.mesh.background.start(peer.close())

    async def close(self) -> None:
        """Closes the link."""
        self.hang_up()
        self._attention.close()
        await self._tasks.close()

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
        if playing.done:
            self._look.set()

    def _on_look(self) -> None:
        self._look.set()
        self._idle()

    async def _loop(self, activity: Activity.ValueType) -> IdleLoop:
        name, version = self._avatar
        return await self._live.loops.get(name, version=version, activity=activity)

    async def _fetch_listening(self) -> None:
        try:
            await self._loop(LISTENING)
        except AnimaError as error:
            get_logger().warning("an avatar has no listening look", problem=str(error))

    async def _follow_looks(self, peer: Peer) -> None:
        while peer is self._peer:
            await self._look.wait()
            self._look.clear()
            try:
                if not await self._cross(peer.program):
                    asyncio.get_running_loop().call_later(_CROSS_AGAIN_S, self._look.set)
            except (AnimaError, FFmpegError) as error:
                get_logger().warning("a look could not be shown", problem=str(error))

    async def _cross(self, program: Program) -> bool:
        """Changes to the wanted look; returns False if it is too late for a crossing."""
        wanted, before = self._attention.wanted, program.shown_loop
        if program.answering or before.activity == wanted:
            return True
        loop = program.idle_loop if wanted == IDLE else await self._loop(wanted)
        if not loop.fits(before):
            return True
        key_frame = program.next_crossing(loop)
        crossing = await loop.crossing(before, key_frame, self._compute)
        if wanted != self._attention.wanted or not program.cross(crossing):
            return False
        self._idle()
        return True

    def _on_state(self) -> None:
        peer = self._peer
        if peer is None:
            return
        if peer.connected:
            self._post({"type": "anima.webrtc.connected"})
            self._tasks.start(self._watch(peer), name="webrtc watch")
            self._tasks.start(self._follow_looks(peer), name="webrtc looks")
        elif peer.lost:
            self._lose(peer)

    def _on_failure(self, error: BaseException) -> None:
        """Closes the peer: the page is informed, and its media is sent over the WebSocket again."""
        if self._peer is not None:
            self._lose(self._peer)

    def _lose(self, peer: Peer) -> None:
        if peer is self._peer:
            self._post({"type": "anima.webrtc.closed"})
            self.hang_up()

    async def _await_connection(self, peer: Peer) -> None:
        await asyncio.sleep(CONNECT_S)
        if peer is self._peer and not peer.has_connected:
            get_logger().info("a peer has not connected", after_s=CONNECT_S)
            self._lose(peer)

    async def _watch(self, peer: Peer) -> None:
        """Detects within seconds a loss that ICE would detect only after half a minute."""
        for number in itertools.count(1):
            if peer is not self._peer:
                return
            self._idle()
            await asyncio.sleep(WATCH_S)
            if number % _LOOK_FOR_ANOTHER_VERSION == 0:
                await self._refresh()
            silent_s = await peer.silent_s()
            if silent_s > GIVE_UP_S:
                get_logger().info("a peer receives nothing", silent_s=round(silent_s, 1))
                self._lose(peer)
                return
            if silent_s > SUSPECT_S and peer is self._peer:
                await self._ask_if_alive()

    async def _refresh(self) -> None:
        try:
            await self.show(self._config)
        except AnimaError as error:
            get_logger().info("the avatar could not be looked up", problem=str(error))

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
            self._tasks.start(self._make_entry(self._peer.program.idle_loop, frame), name="entry")

    async def _make_entry(self, loop: IdleLoop, frame: int) -> None:
        try:
            await loop.prepare(frame, self._compute)
        except FFmpegError as error:  # the loop is then entered at its next key frame
            get_logger().warning("an entry could not be made", problem=str(error))

    async def _avatar_of(self, config: ClientConfig) -> tuple[str, str]:
        """Returns the name of the avatar and its current version."""
        wanted = config.converse_config()
        check_config(wanted)
        catalogue = (await self._live.mesh.catalogue.read()).seen_by(caller())
        name = open_with(wanted, catalogue).avatar
        return name, next((each.version for each in catalogue.avatars if each.name == name), "")
