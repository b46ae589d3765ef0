"""The settings of the gateway."""

from __future__ import annotations

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


class StageSettings(BaseModel, frozen=True, extra="forbid"):
    """What the gateway can be told about one stage; the defaults are those of the stage table.

    Variables are `ANIMA_GATEWAY_<STAGE>_TARGET`, `_FALLBACK_TARGET`, `_SILENCE_TIMEOUT_MS` and
    `_OPEN_TIMEOUT_MS`.
    """

    target: str
    """The address of the stage: "host:port", or "dns:///name:port" for every replica behind a
    name."""
    fallback_target: str = ""
    """The address of another such stage that is tried when the first one fails; empty: the first
    one is tried once more."""
    silence_ms: int | None = Field(ge=10, le=600_000)
    """How long the stage may send nothing while it owes something, before it counts as lost.
    Language model: the longest pause before or within an answer, so more for a model that thinks
    before it speaks. Speech synthesis: while it has a clause to speak. Talking head: while it has
    more than 0.3 s of audio to show. Recognition: from the end of speech to its result."""
    open_ms: int = Field(ge=10, le=60_000)
    """How long a stream to the stage may take to open, reconnecting included."""


_ICE_SERVERS = TypeAdapter(
    tuple[IceServer, ...],
    config=ConfigDict(hide_input_in_errors=True),  # they hold passwords
)


class GatewaySettings(ServiceSettings):
    """What the gateway can be told; variables are `ANIMA_GATEWAY_*`.

    `capacity` counts conversations over all edges: gRPC, REST and the page.
    """

    stage: ClassVar[str] = GATEWAY
    default_port: ClassVar[int] = GATEWAY_PORT

    http_listen: str = "127.0.0.1:8080"
    """The HTTP address of the page and of REST, "host:port"; port 0 takes a free port."""
    client_stall_timeout_s: float = Field(default=20.0, gt=0, le=3600, allow_inf_nan=False)
    """A conversation whose client reads nothing for this long is ended."""
    stage_token: str | None = Field(default=None, repr=False)
    """The token that the stages demand; not set: the gateway's own."""
    sample_rate_hz: int = Field(default=24_000, ge=8_000, le=48_000)
    """The sample rate of all answer audio, which speech synthesis delivers."""
    lookahead_ms: int = Field(default=2_000, ge=200, le=30_000)
    """How far an answer is made ahead of its playback."""
    lead_ms: int = Field(default=300, ge=0, le=1_000)
    """How long before its playback media is sent; browsers start to play once they hold about 270
    ms."""
    stop_timeout_ms: int = Field(default=200, ge=1, le=10_000)
    """How long a stage may take to confirm an interruption before its stream is cancelled."""
    open_timeout_ms: int = Field(default=5_000, ge=10, le=60_000)
    """How long a stream to a stage may take to open, reconnecting included, where the stage has no
    time of its own."""
    speculation: bool = True
    """Whether an answer is begun as soon as the person has probably finished."""
    semantic_end_of_turn: bool = True
    """Whether the words so far decide how long a pause ends an utterance; a session that sets
    `end_silence_ms` gets exactly that."""
    end_of_turn: str = "words"
    """The rule for it: the name of an entry point in `anima.end_of_turn`, such as "words" or
    "smart-turn"."""
    smart_turn_model: str = ""
    """The ONNX file of smart-turn v3, or a folder that holds it, for the rule "smart-turn"."""
    turn_log_dir: str = ""
    """A folder for recordings of what sessions heard and decided, which `python -m tests.replay`
    runs again; they contain what people say. Empty: nothing is recorded."""
    recall_timeout_ms: int = Field(default=400, ge=1, le=10_000)
    """How long an answer waits for memories."""
    remember_queue_turns: int = Field(default=10_000, ge=1, le=1_000_000)
    """The most turns that wait on disk while the memory is away; beyond that the oldest ones are
    dropped."""
    remember_queue_bytes: int = Field(default=16 * 1024 * 1024, ge=1024, le=1 << 34)
    """The same in bytes; so much memory may the queue take, too."""
    memory_key: str = Field(default="", repr=False)
    """Encrypts what waits on disk for the memory: 64 hexadecimal digits. `ANIMA_MEMORY_KEY`, the
    key of the memory's own database, sets it too."""
    memory_key_file: Path | None = None
    """A file that holds this key; `ANIMA_MEMORY_KEY_FILE` sets it too."""
    stage_peer_timeout_s: float = Field(default=6.0, ge=2, le=3600, allow_inf_nan=False)
    """A connection to a stage that has been dead for this long is given up; its streams go to
    another replica, or wait for this one."""
    max_answer_chars: int = Field(default=16_000, ge=100, le=100_000)
    """The longest answer; the rest is cut off."""
    http_hosts: tuple[str, ...] = ()
    """Further names of the HTTP address that the Host header may contain, separated by commas."""
    ice_servers: str = Field(default="", repr=False)
    """STUN and TURN servers of the page's WebRTC: a JSON list of `RTCIceServer`. Browsers receive
    them, passwords included."""
    ask_timeout_s: float = Field(default=120.0, gt=0, le=3600, allow_inf_nan=False)
    """How long `POST /v1/ask` may take."""
    stages: Mapping[str, StageSettings] = Field(default_factory=dict, validate_default=True)
    """The settings of each stage by its name, such as `stages["llm"].target`; the variable of that
    one is `ANIMA_GATEWAY_LLM_TARGET`."""

    @classmethod
    def variables(cls) -> dict[str, tuple[str, ...]]:
        """Returns the places of the settings; a stage has those that fit it."""
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
        """The servers of `ice_servers`."""
        return _ICE_SERVERS.validate_json(self.ice_servers or "[]")

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        self.queue_key()
        return self

    def queue_key(self) -> bytes | None:
        """Returns the key of what waits on disk for the memory; None: it is not encrypted.

        Raises:
            ValueError: What is set is no key.
        """
        return read_key(self.memory_key, self.memory_key_file)

    @model_validator(mode="after")
    def _check_http(self) -> Self:
        split_address("http_listen", self.http_listen)
        if self.token is None and not is_loopback(self.http_listen):
            raise ValueError(
                f"http_listen: {self.http_listen} can be reached by others, so callers must "
                "prove themselves: set ANIMA_TOKEN or ANIMA_TOKEN_FILE, or listen on 127.0.0.1"
            )
        return self
