"""One WebRTC peer: sends video and audio over UDP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.sdp import candidate_from_sdp

from gateway.settings import IceServer
from gateway.webrtc.program import Playing, Program
from gateway.webrtc.tracks import Pump
from services.runtime.errors import InvalidRequest
from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import Tasks

_MAX_SDP_CHARS = 65_536

# A browser has an address or two per network interface, protocol and TURN server.
_MAX_CANDIDATES = 64


class Peer:
    """A connection to a browser.

    Args:
        program: The programme that is played.
        ice_servers: STUN and TURN servers.
        report: Called with how far the answer has been played.
        changed: Called when the state of the connection changes.
        failed: Called with the error that has stopped the media.
    """

    def __init__(
        self,
        program: Program,
        *,
        ice_servers: Sequence[IceServer],
        report: Callable[[Playing], None],
        changed: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.program = program
        servers = [
            RTCIceServer(urls=list(s.urls), username=s.username, credential=s.credential)
            for s in ice_servers
        ]
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._pump = Pump(program, report=report)
        self._tasks = Tasks("webrtc media", on_failure=failed)
        self._pumping = False
        self._candidates = 0
        self._changed = changed
        self._connected_at: datetime | None = None
        self._senders: list[RTCRtpSender] = []
        self._connection.on("connectionstatechange", self._on_state)

    @property
    def connected(self) -> bool:
        """True if media is flowing."""
        return self._connection.connectionState == "connected"

    @property
    def has_connected(self) -> bool:
        """True once media has flowed."""
        return self._connected_at is not None

    @property
    def lost(self) -> bool:
        """True if the connection has ended or failed."""
        return self._connection.connectionState in ("failed", "closed")

    async def answer(self, sdp: object) -> str:
        """Accepts the browser's offer and returns the answer, with all local candidates.

        Raises:
            InvalidRequest: The offer does not fit.
        """
        if not isinstance(sdp, str) or not 0 < len(sdp) <= _MAX_SDP_CHARS:
            raise InvalidRequest(f"sdp: must be a string of at most {_MAX_SDP_CHARS} characters")
        for track in (self._pump.pictures, self._pump.sound):
            self._senders.append(self._connection.addTrack(track))
        # This must precede the offer: afterwards VP8 is chosen, and H.264 would be sent under its
        # name. Only the packetisation that aiortc produces is offered.
        h264 = [
            codec
            for codec in RTCRtpSender.getCapabilities("video").codecs
            if codec.mimeType == "video/H264"
        ]
        for transceiver in self._connection.getTransceivers():
            if transceiver.kind == "video":
                transceiver.setCodecPreferences(h264)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            answer = await self._connection.createAnswer()
            await self._connection.setLocalDescription(answer)
        except Exception as error:  # aiortc raises arbitrary errors for an invalid SDP
            get_logger().info("an offer was refused", problem=repr(error)[:300])
            raise InvalidRequest("sdp: must be an offer of audio and H.264 video") from None
        return str(self._connection.localDescription.sdp)

    async def add_candidate(self, event: dict[str, object]) -> None:
        """Adds an ICE candidate of the browser.

        Raises:
            InvalidRequest: It is not a candidate.
        """
        self._candidates += 1
        if self._candidates > _MAX_CANDIDATES:
            raise InvalidRequest(f"candidate: at most {_MAX_CANDIDATES} are accepted")
        line = str(event.get("candidate") or "")[:1000].removeprefix("candidate:")
        if not line or ".local " in line:
            # The end of the candidates, or a name that hides an address from the page and that only
            # multicast DNS could resolve: checks from that address reveal it anyway.
            return
        try:
            candidate = candidate_from_sdp(line)
            candidate.sdpMid = str(event.get("sdpMid") or "0")[:16]
            await self._connection.addIceCandidate(candidate)
        except (AssertionError, IndexError, KeyError, ValueError):
            raise InvalidRequest("candidate: must be an ICE candidate") from None

    async def silent_s(self) -> float:
        """Returns how long, once connected, the browser has sent no reception report, seconds."""
        last = self._connected_at
        for sender in self._senders:
            for stats in (await sender.getStats()).values():
                if stats.type == "remote-inbound-rtp":
                    last = max(last or stats.timestamp, stats.timestamp)
        return 0.0 if last is None else (datetime.now(UTC) - last).total_seconds()

    async def close(self) -> None:
        """Closes the connection."""
        await self._tasks.close()
        for track in (self._pump.pictures, self._pump.sound):
            track.stop()
        await self._connection.close()

    def _on_state(self) -> None:
        if self.connected and not self._pumping:
            self._connected_at = datetime.now(UTC)
            self._pumping = True
            self._tasks.start(self._pump.run(), name="webrtc pump")
        self._changed()
