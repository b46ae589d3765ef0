"""The catalogue of a session: the personas, voices and avatars that the stages list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from anima.avatar.v1 import avatar_pb2 as avatar
from anima.llm.v1 import llm_pb2 as llm
from anima.tts.v1 import tts_pb2 as tts
from gateway.stages.spec import STAGES, AnswerKind, StageSpec
from gateway.stages.unary import ask
from services.runtime.errors import AnimaError
from services.runtime.identity.caller import Identity
from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import Tasks

_MAX_AGE_S: Final = 5.0


@dataclass(frozen=True)
class Catalogue:
    """The choices of a session; empty where a stage has never answered.

    Attributes:
        personas: The personas.
        voices: The voices.
        avatars: The avatars.
        is_whole: False if it leaves out the avatars of others.
    """

    personas: Sequence[llm.Persona] = ()
    voices: Sequence[tts.Voice] = ()
    avatars: Sequence[avatar.Avatar] = ()
    is_whole: bool = True

    def seen_by(self, who: Identity) -> Catalogue:
        """Returns what a caller may choose: its own avatars and those without an owner.

        Only the owner of an avatar and the operators read why its pictures may be used.
        """
        if who.manages:
            return self
        own = [each for each in self.avatars if each.user_id in ("", who.user_id)]
        return replace(
            self,
            avatars=[each if each.user_id else _without_consent(each) for each in own],
            is_whole=False,
        )


@dataclass
class _Listing:
    """The offer of one stage.

    Attributes:
        known: Its last list.
        asked_at: When it was last asked, whether it answered or not; seconds on the loop's clock.
        asking: The request in progress.
    """

    known: Sequence[Any] = ()
    asked_at: float = float("-inf")
    asking: asyncio.Task[None] | None = None


@dataclass
class CatalogueReader:
    """Asks the stages for their lists and caches them for 5 s.

    Sessions that open at the same time share one request. A stage that did not answer is asked
    again after 5 s; until then its previous list is still offered. While no persona is known, no
    session can be opened, so the language model is asked each time.

    Args:
        stub: Returns the stub of a stage by its name.
        tasks: The owner of the requests.
    """

    stub: Callable[[str], Any]
    tasks: Tasks
    changes: int = 0
    """How often a call of this gateway has changed an offer."""
    _listings: dict[str, _Listing] = field(default_factory=dict)

    async def read(self) -> Catalogue:
        """Returns the choices of a session."""
        offering = [spec for spec in STAGES.values() if spec.offers]
        pending = [task for spec in offering if (task := self._asking(spec)) is not None]
        if pending:
            # Not awaited one by one: a session that leaves must not cancel a request that others
            # share.
            await asyncio.wait(pending)
        known: dict[str, Any] = {
            spec.offers: self._listing(spec.name).known
            for spec in offering
            if spec.offers in Catalogue.__dataclass_fields__
        }
        return Catalogue(**known)

    def expire(self, stage: str) -> None:
        """Makes the next session ask a stage again, because its offer may have changed."""
        self._listing(stage).asked_at = float("-inf")

    def change(self, stage: str) -> None:
        """As `expire`, after a call of this gateway that has changed the offer."""
        self.changes += 1
        self.expire(stage)

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
        # Set before the request: a change while the stage answers must lead to another request.
        listing.asked_at = asyncio.get_running_loop().time()
        try:
            answer = await ask(spec, self.stub(spec.name), f"List{spec.offers.capitalize()}")
            listing.known = tuple(getattr(answer, spec.offers))
        except AnimaError as error:
            get_logger().warning("a stage could not be asked", stage=spec.name, problem=str(error))
        finally:
            listing.asking = None


def _without_consent(full: avatar.Avatar) -> avatar.Avatar:
    shown = avatar.Avatar()
    shown.CopyFrom(full)
    shown.ClearField("consent")
    return shown
