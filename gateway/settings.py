"""The settings of the gateway."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gateway.remember_queue.sealing import read_key
from gateway.stages.spec import GATEWAY, GATEWAY_PORT, STAGES
from services.runtime.config.settings import ServiceSettings, Target, is_loopback, split_address
from services.runtime.identity.caller import Mode
from services.runtime.identity.settings import HOW_TO_AUTHENTICATE


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


class StageSettings(BaseModel, frozen=True, extra="forbid"):
    """The gateway's settings for one stage; the defaults come from the stage table.

    Variables are `ANIMA_GATEWAY_<STAGE>_TARGET`, `_FALLBACK_TARGET`, `_SILENCE_TIMEOUT_MS` and
    `_OPEN_TIMEOUT_MS`.
    """

    target: Target
    """The address of the stage: "host:port", or "dns:///name:port" for every replica behind a
    name."""
    fallback_target: Target = ""
    """The address of another such stage, tried when the first one fails; empty: the first one is
    tried once more."""
    silence_ms: int | None = Field(ge=10, le=600_000)
    """How long the stage may send nothing while it owes a response, before it counts as lost.
    Language model: the longest pause before or within an answer; set more for a model that thinks
    before it answers. Speech synthesis: while it has a clause to speak. Talking head: while it has
    more than 0.3 s of audio to show. Recognition: from the end of speech to its result."""
    open_ms: int = Field(ge=10, le=60_000)
    """How long a stream to the stage may take to open, reconnecting included."""


_ICE_SERVERS = TypeAdapter(
    tuple[IceServer, ...],
    config=ConfigDict(hide_input_in_errors=True),  # they hold passwords
)


class GatewaySettings(ServiceSettings):
    """The settings of the gateway; variables are `ANIMA_GATEWAY_*`.

    `capacity` counts conversations over all edges: gRPC, REST and the page.
    """

    stage: ClassVar[str] = GATEWAY
    default_port: ClassVar[int] = GATEWAY_PORT

    http_listen: str = "127.0.0.1:8080"
    """The HTTP address of the page and the REST API, "host:port"; port 0 takes a free port."""
    client_stall_timeout_s: float = Field(default=20.0, gt=0, le=3600, allow_inf_nan=False)
    """A conversation whose client reads nothing for this long is ended."""
    stage_token: str | None = Field(default=None, repr=False)
    """The token that the stages require; not set: the gateway's own."""
    sample_rate_hz: int = Field(default=24_000, ge=8_000, le=48_000)
    """The sample rate of all answer audio, as requested from speech synthesis."""
    lookahead_ms: int = Field(default=2_000, ge=200, le=30_000)
    """How far ahead of its playback an answer is produced."""
    lead_ms: int = Field(default=300, ge=0, le=1_000)
    """How long before its playback media is sent; browsers start playing once they have buffered
    about 270 ms."""
    face_late_ms: int = Field(default=600, ge=100, le=60_000)
    """How far the face may fall behind the voice before an answer goes on without it."""
    stop_timeout_ms: int = Field(default=200, ge=1, le=10_000)
    """How long a stage may take to confirm an interruption before its stream is cancelled."""
    open_timeout_ms: int = Field(default=5_000, ge=10, le=60_000)
    """How long a stream to a stage may take to open, reconnecting included, if the stage has no
    limit of its own."""
    speculation: bool = True
    """Whether an answer is started as soon as the person has probably finished."""
    prefill: bool = True
    """Whether the language model reads the conversation as soon as the person speaks, so that it
    only has to read the question afterwards."""
    semantic_end_of_turn: bool = True
    """Whether the words so far decide how long a pause ends an utterance; a session that sets
    `end_silence_ms` gets exactly that."""
    end_of_turn: str = "words"
    """The rule for it: the name of an entry point in `anima.end_of_turn`, such as "words" or
    "smart-turn"."""
    smart_turn_model: str = ""
    """The ONNX file of smart-turn v3, or a folder that holds it, for the rule "smart-turn"."""
    turn_log_dir: str = ""
    """A folder for recordings of the transcripts and decisions of sessions, which `anima replay`
    replays; they contain what people say. Empty: nothing is recorded."""
    speech_minutes_per_hour: float = Field(default=240.0, ge=0, allow_inf_nan=False)
    """How many minutes of microphone audio and spoken answers together a caller may use in an hour,
    over all its conversations. Callers are those whose places are counted. 0: no limit."""
    speech_by_asking: bool = True
    """Whether the language model is offered the tool with which people change voice and speed by
    asking; it takes about 150 tokens of each prompt of a model that calls tools."""
    recall_timeout_ms: int = Field(default=400, ge=1, le=10_000)
    """How long an answer waits for memories."""
    remember_queue_turns: int = Field(default=10_000, ge=1, le=1_000_000)
    """The most turns that wait on disk while the memory is down; beyond that the oldest ones are
    dropped."""
    remember_queue_bytes: int = Field(default=16 * 1024 * 1024, ge=1024, le=1 << 34)
    """The same in bytes; also the most memory that the queue may use."""
    memory_key: str = Field(default="", repr=False)
    """The key that encrypts turns that wait on disk for the memory: 64 hexadecimal digits.
    `ANIMA_MEMORY_KEY`, the key of the memory's own database, sets it too."""
    memory_key_file: Path | None = None
    """A file that holds this key; `ANIMA_MEMORY_KEY_FILE` sets it too."""
    stage_peer_timeout_s: float = Field(default=6.0, ge=2, le=3600, allow_inf_nan=False)
    """A connection to a stage that has been dead for this long is closed; its streams go to another
    replica, or wait for this one."""
    max_answer_chars: int = Field(default=16_000, ge=100, le=100_000)
    """The longest answer; any text beyond it is cut off."""
    echo_cancellation: bool = True
    """Remove the voice of the face from microphone audio, for clients that do not do it. It takes
    3 % of a core for each session in which the face speaks, and 1 % once its echo is known."""
    http_hosts: tuple[str, ...] = ()
    """More host names that the Host header may contain, separated by commas."""
    http_first_byte_timeout_s: float = Field(default=20.0, gt=0, le=600, allow_inf_nan=False)
    """How long a client may take to send the first byte after connecting."""
    http_head_timeout_s: float = Field(default=5.0, gt=0, le=60, allow_inf_nan=False)
    """How long it may take to send the rest of the head of a request."""
    http_waiting: int = Field(default=4_096, ge=1, le=100_000)
    """The most connections that have not sent the head of a request yet. Each takes a descriptor
    and about 4 KB. When all are taken, the oldest one is closed for a new one."""
    http_waiting_per_address: int = Field(default=1_024, ge=1, le=100_000)
    """The same for one address, or one /64 network of IPv6. It does not apply to `http_proxies`."""
    http_connections: int = Field(default=4_096, ge=2, le=100_000)
    """The most connections whose client has sent the head of a request."""
    http_unauthenticated: int = Field(default=1_024, ge=1, le=100_000)
    """The most of them whose client has not named its token yet, or without a token has sent no
    valid request. When they are all taken, the one that has been idle longest is closed for a new
    one."""
    http_unauthenticated_per_address: int = Field(default=64, ge=1, le=100_000)
    """The same for one address, or one /64 network of IPv6. It does not apply to
    `http_proxies`: all connections through a proxy have its address."""
    http_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses and networks of reverse proxies, separated by commas. The gateway believes their
    `X-Forwarded-Proto` and `X-Forwarded-For`, and their connections are not limited per address."""
    ice_servers: str = Field(default="", repr=False)
    """STUN and TURN servers for WebRTC in the page: a JSON list of `RTCIceServer`. Browsers receive
    them, passwords included."""
    ask_timeout_s: float = Field(default=120.0, gt=0, le=3600, allow_inf_nan=False)
    """How long `POST /v1/ask` may take."""
    stages: Mapping[str, StageSettings] = Field(default_factory=dict, validate_default=True)
    """The settings of each stage by its name, such as `stages["llm"].target`, whose variable is
    `ANIMA_GATEWAY_LLM_TARGET`."""

    @classmethod
    def variables(cls) -> dict[str, tuple[str, ...]]:
        """Returns the field of each variable; a stage has only the settings that apply to it."""
        named = super().variables()
        del named["stages"]
        for spec in STAGES.values():
            fields = {"target": "target"}
            if spec.has_fallback:
                fields["fallback_target"] = "fallback_target"
            if spec.terminal_event is not None:
                fields |= {"silence_timeout_ms": "silence_ms", "open_timeout_ms": "open_ms"}
            named |= {
                f"{spec.name}_{end}": ("stages", spec.name, name) for end, name in fields.items()
            }
        return named

    @field_validator("stages", mode="before")
    @classmethod
    def _fill_in_stages(cls, given: Any, info: ValidationInfo) -> Any:
        if isinstance(given, Mapping) and (unknown := given.keys() - STAGES.keys()):
            raise ValueError(f"{min(unknown)!r} is not one of {', '.join(STAGES)}")
        open_ms = info.data.get("open_timeout_ms", cls.model_fields["open_timeout_ms"].default)
        return {
            spec.name: {
                "target": spec.default_target,
                "silence_ms": spec.silence_ms,
                "open_ms": spec.open_ms or open_ms,
            }
            | dict(given.get(spec.name, {}))
            for spec in STAGES.values()
        }

    @field_validator("ice_servers")
    @classmethod
    def _check_ice_servers(cls, value: str) -> str:
        _ICE_SERVERS.validate_json(value or "[]")
        return value

    @property
    def ice_server_list(self) -> tuple[IceServer, ...]:
        """The parsed servers of `ice_servers`."""
        return _ICE_SERVERS.validate_json(self.ice_servers or "[]")

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        self.queue_key()
        return self

    def queue_key(self) -> bytes | None:
        """Returns the key of the queue on disk for the memory; None: the queue is not encrypted.

        Raises:
            ValueError: The configured value is not a key.
        """
        return read_key(self.memory_key, self.memory_key_file)

    @field_validator("http_proxies")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            ipaddress.ip_network(each, strict=False)
        return value

    @model_validator(mode="after")
    def _check_http(self) -> Self:
        split_address("http_listen", self.http_listen)
        if self.mode is Mode.OPEN and not is_loopback(self.http_listen):
            raise ValueError(
                f"http_listen: {self.http_listen} can be reached by others, so callers must "
                f"authenticate: {HOW_TO_AUTHENTICATE}, or listen on 127.0.0.1"
            )
        return self
