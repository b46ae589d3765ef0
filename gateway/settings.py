"""The settings of the gateway."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import BaseModel, Field, TypeAdapter, field_validator, model_validator

from services.runtime.settings import ServiceSettings, is_loopback, split_address


class IceServer(BaseModel, frozen=True, extra="forbid"):
    """A STUN or TURN server, as browsers write it in `RTCIceServer`."""

    urls: tuple[str, ...]
    """Such as "stun:example.org:3478" or "turns:example.org?transport=tcp"."""
    username: str | None = None
    credential: str | None = Field(default=None, repr=False)

    @field_validator("urls", mode="before")
    @classmethod
    def _one_or_many(cls, urls: object) -> object:
        return (urls,) if isinstance(urls, str) else urls

    @field_validator("urls")
    @classmethod
    def _known_schemes(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if url.partition(":")[0] not in ("stun", "stuns", "turn", "turns"):
                raise ValueError(f"{url!r} does not begin with stun:, stuns:, turn: or turns:")
        return urls


_ICE_SERVERS = TypeAdapter(tuple[IceServer, ...])


class GatewaySettings(ServiceSettings):
    """What the gateway can be told; variables are `ANIMA_GATEWAY_*`.

    `capacity` counts conversations over all edges: gRPC, REST and the page.
    """

    stage: ClassVar[str] = "gateway"
    default_port: ClassVar[int] = 50050

    http_listen: str = "127.0.0.1:8080"
    """The HTTP address of page and REST, "host:port"; port 0 takes a free one."""
    asr_target: str = "127.0.0.1:50051"
    """Where speech recognition is: "host:port" or "dns:///name:port"."""
    llm_target: str = "127.0.0.1:50052"
    """Where the language model is."""
    memory_target: str = "127.0.0.1:50053"
    """Where the memory is."""
    tts_target: str = "127.0.0.1:50054"
    """Where speech synthesis is."""
    avatar_target: str = "127.0.0.1:50055"
    """Where the talking head is."""
    llm_fallback_target: str = ""
    """Where another language model is that answers when the first one fails; empty: the first one,
    once more."""
    tts_fallback_target: str = ""
    """The same for speech synthesis."""
    client_stall_timeout_s: float = Field(default=20.0, gt=0, le=3600, allow_inf_nan=False)
    """How long a client may leave what is there for it unread before its conversation is ended."""
    stage_token: str | None = Field(default=None, repr=False)
    """The token that the stages demand; None: the gateway's own."""
    sample_rate_hz: int = Field(default=24_000, ge=8_000, le=48_000)
    """Samples per second of all answer audio; speech synthesis delivers it at this rate."""
    lookahead_ms: int = Field(default=2_000, ge=200, le=30_000)
    """How far production may run ahead of playback."""
    lead_ms: int = Field(default=300, ge=0, le=1_000)
    """How long before it is played media leaves; browsers begin once they hold about 270 ms."""
    stop_timeout_ms: int = Field(default=200, ge=1, le=10_000)
    """How long a stage may take to confirm an interruption before its stream is cancelled."""
    open_timeout_ms: int = Field(default=5_000, ge=10, le=60_000)
    """How long to wait for a stage to open a stream, reconnecting included."""
    avatar_open_timeout_ms: int = Field(default=2_000, ge=10, le=60_000)
    """The same for the talking head, without which an answer can go on."""
    speculation: bool = True
    """Whether an answer is begun as soon as the person has probably finished."""
    semantic_end_of_turn: bool = True
    """Whether the words said so far decide how long a pause ends an utterance; a session that asks
    for an `end_silence_ms` gets that instead."""
    end_of_turn: str = "words"
    """Which rule that is: the name of an entry point in `anima.end_of_turn`, such as "words" or
    "smart-turn"."""
    smart_turn_model: str = ""
    """The ONNX file of smart-turn v3, or a folder with it, for the rule "smart-turn"."""
    turn_log_dir: str = ""
    """A folder for recordings of what sessions heard and decided, which `python -m tests.replay`
    runs again; they hold what people say. Empty: none is made."""
    recall_timeout_ms: int = Field(default=400, ge=1, le=10_000)
    """How long an answer waits for memories."""
    llm_silence_timeout_ms: int = Field(default=8_000, ge=10, le=600_000)
    """The longest pause of the language model before or within an answer; more for a model that
    thinks for longer before it speaks. Then, as with the next ones, the stage counts as lost."""
    tts_silence_timeout_ms: int = Field(default=3_000, ge=10, le=600_000)
    """How long speech synthesis may give nothing while it has a clause to speak."""
    avatar_silence_timeout_ms: int = Field(default=2_000, ge=10, le=600_000)
    """How long the talking head may give nothing while it has more than 0.3 s of audio to show."""
    asr_silence_timeout_ms: int = Field(default=5_000, ge=10, le=600_000)
    """How long recognition may take from the end of speech to its result."""
    stage_peer_timeout_s: float = Field(default=6.0, ge=2, le=3600, allow_inf_nan=False)
    """How long a connection to a stage may be dead before its streams are given up; all of them
    then go to another replica, or wait for this one."""
    max_answer_chars: int = Field(default=16_000, ge=100, le=100_000)
    """The longest answer; what follows is cut off."""
    http_hosts: tuple[str, ...] = ()
    """More names of the HTTP address, besides its own and those of loopback (Host header)."""
    ice_servers: str = Field(default="", repr=False)
    """STUN and TURN servers of the page's WebRTC: a JSON list of `RTCIceServer`; none by default.
    Browsers get them too, credentials included."""
    ask_timeout_s: float = Field(default=120.0, gt=0, le=3600, allow_inf_nan=False)
    """How long `POST /v1/ask` may take."""

    @field_validator("ice_servers")
    @classmethod
    def _check_ice_servers(cls, value: str) -> str:
        _ICE_SERVERS.validate_json(value or "[]")
        return value

    @property
    def ice_server_list(self) -> tuple[IceServer, ...]:
        """The servers of `ice_servers`."""
        return _ICE_SERVERS.validate_json(self.ice_servers or "[]")

    @model_validator(mode="after")
    def _check_http(self) -> Self:
        split_address("http_listen", self.http_listen)
        if self.token is None and not is_loopback(self.http_listen):
            raise ValueError(
                f"http_listen: {self.http_listen} can be reached by others, so callers must "
                "prove themselves: set ANIMA_TOKEN or ANIMA_TOKEN_FILE, or listen on 127.0.0.1"
            )
        return self
