"""The life of an engine, the same in every stage.

An entry point in `anima.<stage>.engines` is called with the settings of the stage and returns an
engine. The service opens it before the first call, asks what it is, lets it work, and closes it
after the last call. Construction checks the options and does no work worth mentioning.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from anima.common.v1 import EngineInfo as EngineInfoMessage

Report: TypeAlias = Callable[[str], Awaitable[None]]
"""Called with the reason why an engine cannot work now; an empty text: it can again."""


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """What an engine is.

    Attributes:
        name: The name of its entry point, by which settings choose it.
        version: Its version, with the model's where that differs.
        licence: SPDX expression of the engine and its model files.
        languages: BCP-47 tags, the default first; empty if language does not matter.
    """

    name: str
    version: str
    licence: str
    languages: tuple[str, ...] = ()

    def message(self, *, capacity: int) -> EngineInfoMessage:
        """Returns the message of it.

        Args:
            capacity: How many streams its service takes at the same time.
        """
        return EngineInfoMessage(
            name=self.name,
            version=self.version,
            licence=self.licence,
            languages=self.languages,
            capacity=capacity,
        )


class Engine(Protocol):
    """What every engine of every stage has; the interface of a stage adds the work."""

    async def open(self) -> None:
        """Loads and warms up; called once, before any work. Never blocks the event loop.

        Raises:
            SettingsError: A setting is wrong.
            AnimaError: Something that it needs is missing; the text says how to get it.
        """
        ...

    def describe(self) -> EngineInfo:
        """Returns what the engine is; called after `open`."""
        ...

    async def close(self) -> None:
        """Releases everything; called once, after the last work, also when `open` has failed."""
        ...


@runtime_checkable
class WatchedEngine(Protocol):
    """An engine that can fail after its start and come back."""

    async def watch(self, report: Report) -> None:
        """Reports each change until it is cancelled; runs from the end of the warm-up."""
        ...


def watch_of(engine: object) -> Callable[[Report], Awaitable[None]] | None:
    """Returns the watch of an engine, for `Stage.watch`; None where it has none."""
    return engine.watch if isinstance(engine, WatchedEngine) else None
