"""The life cycle of an engine, the same in every stage.

An entry point in `anima.<stage>.engines` is called with the settings of the stage and returns an
engine. The service opens it before the first call, asks for its description, uses it, and closes
it after the last call. The constructor validates the options and does no expensive work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from anima.common.v1 import EngineInfo as EngineInfoMessage

Report: TypeAlias = Callable[[str], Awaitable[None]]
"""Called with the reason why an engine is unavailable; an empty text: it is available again."""


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """The description of an engine.

    Attributes:
        name: The name of its entry point, used to select it in the settings.
        version: Its version, with the model's version if that differs.
        licence: SPDX expression of the engine and its model files.
        languages: BCP-47 tags, the default first; empty if language does not matter.
        more_languages: What an operator can do so that more languages are handled, such as a
            command; empty: nothing is known.
    """

    name: str
    version: str
    licence: str
    languages: tuple[str, ...] = ()
    more_languages: str = ""

    def message(self, *, capacity: int, reason: str = "") -> EngineInfoMessage:
        """Returns the description as a message.

        Args:
            capacity: How many concurrent streams its service accepts.
            reason: Why the service has chosen the engine, if the settings name none.
        """
        return EngineInfoMessage(
            name=self.name,
            version=self.version,
            licence=self.licence,
            languages=self.languages,
            capacity=capacity,
            reason=reason,
            more_languages=self.more_languages,
        )


class Engine(Protocol):
    """The methods of every engine; the interface of each stage adds the work."""

    async def open(self) -> None:
        """Loads and warms up; called once, before any work. Never blocks the event loop.

        Raises:
            SettingsError: A setting is invalid.
            AnimaError: A requirement is missing; the text says how to install it.
        """
        ...

    def describe(self) -> EngineInfo:
        """Returns the description of the engine; called after `open`."""
        ...

    async def close(self) -> None:
        """Releases everything; called once, after the last work, also if `open` has failed."""
        ...


@runtime_checkable
class WatchedEngine(Protocol):
    """An engine that can fail after its start and recover."""

    async def watch(self, report: Report) -> None:
        """Reports each change until it is cancelled; runs from the end of the warm-up."""
        ...


def watch_of(engine: object) -> Callable[[Report], Awaitable[None]] | None:
    """Returns the watch of an engine, for `Stage.watch`; None if it has none."""
    return engine.watch if isinstance(engine, WatchedEngine) else None
