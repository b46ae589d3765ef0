"""The table of stages: all code that names the stages of the mesh reads it.

A new stage is one entry in `STAGES` and a folder with its service. Stubs are imported only when
they are requested, so that the command line can read the table too. Read it when it is needed and
never copy it at import: a test registers a stage by adding an entry.
"""

from __future__ import annotations

import functools
import graphlib
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Any, Final

GATEWAY: Final = "gateway"
GATEWAY_PORT: Final = 50050
GATEWAY_SERVICE: Final = "anima.gateway.v1.GatewayService"


class AnswerKind(StrEnum):
    """The kinds of output that an answer consists of."""

    TEXT = "text"
    SPEECH = "speech"
    VIDEO = "video"


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """One stage of the mesh.

    Attributes:
        name: The name in settings, metrics, spans and notices, such as "llm".
        api: The Python package of the stubs, which is also the proto package: "anima.llm.v1".
        service: The name of the gRPC service: "LlmService".
        module: The module that `python -m` runs: "services.llm".
        default_port: The port on which it listens by default.
        upstream: The stages whose output it waits for within a turn.
        needed_by: The kinds of answers that cannot be made without it. A new session is refused
            while such a stage is full, and the gateway is not ready before it has seen the stages
            that a spoken answer needs.
        terminal_event: The last event of a stream that ended well, by its name in the `event` oneof
            of the responses; None for a stage without streams. A stream that ends without it has
            failed, even with the status OK.
        waits_for_place: Whether a turn waits for a place when the stage is full.
        silence_ms: The default for how long the stage may send nothing while it owes a response;
            None for a stage without streams.
        open_ms: The default for how long opening a stream may take; None: the limit that the
            gateway sets for all stages.
        offers: The choices that the stage lists, as the field of the list response: "personas" for
            `ListPersonas`; empty: none.
        hands_over_at_end: Whether the next stage starts at the end of this one's work instead of at
            its first output.
        has_fallback: Whether a second address can be set, to be tried when the first one fails.
        keeps_sessions: Whether a session keeps to one replica, which has its conversation in a
            cache; the calls to other stages are spread evenly.
    """

    name: str
    api: str
    service: str
    module: str
    default_port: int
    upstream: tuple[str, ...] = ()
    needed_by: frozenset[AnswerKind] = frozenset()
    terminal_event: str | None = None
    waits_for_place: bool = False
    silence_ms: int | None = None
    open_ms: int | None = None
    offers: str = ""
    hands_over_at_end: bool = False
    has_fallback: bool = False
    keeps_sessions: bool = False

    @property
    def health_service(self) -> str:
        """The full gRPC name, whose health means "ready": "anima.llm.v1.LlmService"."""
        return f"{self.api}.{self.service}"

    @property
    def default_target(self) -> str:
        """The default address at which the gateway looks for the stage, "host:port"."""
        return f"127.0.0.1:{self.default_port}"

    @property
    def variable(self) -> str:
        """The prefix of the stage's environment variables: "ANIMA_LLM_"."""
        return f"ANIMA_{self.name.upper()}_"

    @property
    def target_variable(self) -> str:
        """The environment variable that sets the stage's address for the gateway."""
        return f"ANIMA_GATEWAY_{self.name.upper()}_TARGET"

    def stub(self, channel: Any) -> Any:
        """Returns a stub of the service on a channel; imports the stubs on first use."""
        return getattr(import_module(self.api), f"{self.service}Stub")(channel)

    def request(self, method: str) -> Any:
        """Returns an empty request of a unary method: `DescribeEngineRequest()`."""
        return getattr(import_module(self.api), f"{method}Request")()

    def add_to_server(self, servicer: Any, server: Any) -> None:
        """Adds a servicer of the stage to a gRPC server."""
        getattr(import_module(self.api), f"add_{self.service}Servicer_to_server")(servicer, server)


STAGES: Final[dict[str, StageSpec]] = {
    spec.name: spec
    for spec in (
        StageSpec(
            name="asr",
            api="anima.asr.v1",
            service="AsrService",
            module="services.asr",
            default_port=50051,
            terminal_event="final",
            silence_ms=5_000,
            hands_over_at_end=True,
        ),
        StageSpec(
            name="llm",
            api="anima.llm.v1",
            service="LlmService",
            module="services.llm",
            default_port=50052,
            upstream=("memory",),
            needed_by=frozenset(AnswerKind),
            terminal_event="finished",
            waits_for_place=True,
            silence_ms=8_000,
            offers="personas",
            has_fallback=True,
            keeps_sessions=True,
        ),
        StageSpec(
            name="memory",
            api="anima.memory.v1",
            service="MemoryService",
            module="memory",
            default_port=50053,
            upstream=("asr",),
            hands_over_at_end=True,
        ),
        StageSpec(
            name="tts",
            api="anima.tts.v1",
            service="TtsService",
            module="services.tts",
            default_port=50054,
            upstream=("llm",),
            needed_by=frozenset({AnswerKind.SPEECH, AnswerKind.VIDEO}),
            terminal_event="segment_end",
            waits_for_place=True,
            silence_ms=3_000,
            offers="voices",
            has_fallback=True,
        ),
        StageSpec(
            name="avatar",
            api="anima.avatar.v1",
            service="AvatarService",
            module="services.avatar",
            default_port=50055,
            upstream=("tts",),
            needed_by=frozenset({AnswerKind.VIDEO}),
            terminal_event="ended",
            silence_ms=2_000,
            # An answer can go on without video.
            open_ms=2_000,
            offers="avatars",
        ),
    )
}
"""The stages by name, listed in the order of their ports."""


def chain() -> tuple[str, ...]:
    """Returns the names of the stages in the order in which a turn passes through them."""
    return _in_order(tuple((spec.name, spec.upstream) for spec in STAGES.values()))


@functools.lru_cache(maxsize=4)
def _in_order(upstream: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[str, ...]:
    # Kept, because every turn asks for the order.
    return tuple(graphlib.TopologicalSorter(dict(upstream)).static_order())


def needed_for(kind: AnswerKind) -> tuple[str, ...]:
    """Returns the names of the stages without which no answer of a kind can be made."""
    return tuple(spec.name for spec in STAGES.values() if kind in spec.needed_by)
