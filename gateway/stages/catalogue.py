"""What a session can choose from: personas, voices and avatars, as the stages list them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from anima.avatar.v1 import avatar_pb2 as avatar
from anima.llm.v1 import llm_pb2 as llm
from anima.tts.v1 import tts_pb2 as tts
from gateway.stages.spec import STAGES, AnswerKind, StageSpec
from gateway.stages.unary import ask
from services.runtime.errors import AnimaError
from services.runtime.logs import get_logger
from services.runtime.tasks import Tasks

_MAX_AGE_S: Final = 5.0


@dataclass(frozen=True)
class Catalogue:
    """What a session can choose from; empty where a stage has never answered."""

    personas: Sequence[llm.Persona] = ()
    voices: Sequence[tts.Voice] = ()
    avatars: Sequence[avatar.Avatar] = ()


@dataclass
class _Listing:
    """What one stage offers.

    Attributes:
        known: What it listed last.
        asked_at: When it was asked last, whether it answered or not; seconds of the loop's clock.
        asking: The question that is under way.
    """

    known: Sequence[Any] = ()
    asked_at: float = float("-inf")
    asking: asyncio.Task[None] | None = None


@dataclass
class CatalogueReader:
    """Asks the stages what they offer, and remembers it for 5 s.

    Sessions that open at the same time wait for the same question. A stage that did not answer is
    asked again after 5 s, and what it listed before is still offered. While no persona is known, so
    that no session can be opened, the language model is asked each time.

    Args:
        stub: Returns the stub of a stage by its name.
        tasks: The owner of the questions.
    """

    stub: Callable[[str], Any]
    tasks: Tasks
    _listings: dict[str, _Listing] = field(default_factory=dict)

    async def read(self) -> Catalogue:
        """Returns what a session can choose from."""
        offering = [spec for spec in STAGES.values() if spec.offers]
        pending = [task for spec in offering if (task := self._asking(spec)) is not None]
        if pending:
            # Not awaited one by one: a session that leaves must not cancel what others wait for.
            await asyncio.wait(pending)
        return Catalogue(
            **{
                spec.offers: self._listing(spec.name).known
                for spec in offering
                if spec.offers in Catalogue.__dataclass_fields__
            }
        )

    def expire(self, stage: str) -> None:
        """Lets a stage be asked again by the next session: what it offers may have changed."""
        self._listing(stage).asked_at = float("-inf")

    def _listing(self, stage: str) -> _Listing:
        return self._listings.setdefault(stage, _Listing())

    def _asking(self, spec: StageSpec) -> asyncio.Task[None] | None:
        listing = self._listing(spec.name)
        if listing.asking is not None:
            return listing.asking
        age_s = asyncio.get_running_loop().time() - listing.asked_at
        nobody_to_talk_to = AnswerKind.TEXT in spec.needed_by and not listing.known
        if age_s <= _MAX_AGE_S and not nobody_to_talk_to:
            return None
        listing.asking = self.tasks.start(self._ask(spec, listing), name=f"list-{spec.offers}")
        return listing.asking

    async def _ask(self, spec: StageSpec, listing: _Listing) -> None:
        # From here on: what changes while the stage answers is asked for again.
        listing.asked_at = asyncio.get_running_loop().time()
        try:
            answer = await ask(spec, self.stub(spec.name), f"List{spec.offers.capitalize()}")
            listing.known = tuple(getattr(answer, spec.offers))
        except AnimaError as error:
            get_logger().warning("a stage could not be asked", stage=spec.name, problem=str(error))
        finally:
            listing.asking = None
