"""The limits of one connection."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EdgeLimits:
    """The limits of one WebSocket connection."""

    max_event_bytes: int = 256 * 1024
    """The largest JSON event of a client: base64 of the largest audio message, with a margin."""
    max_audio_bytes: int = 65_536
    """The largest binary message of a client."""
    messages_per_s: float = 200.0
    """The long-term rate of a client's messages."""
    burst_messages: int = 400
    """The most messages in a burst."""
    bytes_per_s: float = 1024 * 1024
    """The long-term rate of what a client sends; what exceeds it is read later. A microphone sends
    64 KiB/s."""
    burst_bytes: int = 8 * 1024 * 1024
    """The most that is read at once: a recording of a minute."""
    max_waiting_bytes: int = 4 * 1024 * 1024
    """The most data that waits for a slow client before it is disconnected."""
    max_waiting_messages: int = 512
    """The same limit in messages."""
    send_timeout_s: float = 15.0
    """How long sending one message may take."""
    authenticate_timeout_s: float = 5.0
    """How long a client may take to send its token."""
    idle_timeout_s: float = 600.0
    """After this time without input the conversation frees its place; the connection stays open."""
