"""The names that are likely to be said in a session, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import grpc

from anima.llm.v1 import llm_pb2 as llm
from anima.memory.v1 import memory_pb2 as memory
from gateway.listening.hot_words import likeliest
from gateway.session.history import History
from gateway.session.opening import Opening
from gateway.stages.mesh import Mesh
from services.runtime.observing.logs import get_logger

_TIMEOUT_S: Final = 5.0
_MOST_FACTS: Final = 100
_MOST_DOCUMENTS: Final = 100


class LikelyNames:
    """Collects names from the conversation, the person's memory and documents, and the persona.

    Args:
        mesh: The stages.
        opening: The session's persona and user.
        history: What has been said so far; it grows.
    """

    def __init__(self, mesh: Mesh, opening: Opening, history: History) -> None:
        self._mesh = mesh
        self._opening = opening
        self._history = history
        self._remembered: tuple[str, ...] = ()
        self._titles: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """Returns the names, those of what was said last first."""
        return likeliest(self._texts())

    async def load(self) -> None:
        """Asks the memory for facts about the person and for titles of documents."""
        user_id, persona = self._opening.config.user_id, self._opening.persona.name
        owners = [memory.KnowledgeOwner(persona=persona)]
        try:
            if user_id:
                owners.append(memory.KnowledgeOwner(user_id=user_id))
                facts = await self._mesh.memory.List(
                    memory.ListRequest(
                        user_id=user_id, page_size=_MOST_FACTS, kinds=[memory.ITEM_KIND_FACT]
                    ),
                    timeout=_TIMEOUT_S,
                )
                self._remembered = tuple(item.fact.value for item in facts.items)
            for owner in owners:
                listed = await self._mesh.memory.ListDocuments(
                    memory.ListDocumentsRequest(owner=owner, page_size=_MOST_DOCUMENTS),
                    timeout=_TIMEOUT_S,
                )
                self._titles += tuple(document.title for document in listed.documents)
        except grpc.aio.AioRpcError as error:
            # Recognition works without them.
            get_logger().info("no names from the memory", problem=error.details())

    def _texts(self) -> Iterator[tuple[str, bool]]:
        persona = self._opening.persona
        yield persona.display_name, False
        for message in reversed(self._history.messages()):
            yield message.text, True
        yield from ((value, False) for value in self._remembered)
        yield from ((title, False) for title in self._titles)
        yield from ((text, True) for text in _texts_of(persona))


def _texts_of(persona: llm.Persona) -> Iterator[str]:
    yield persona.description
    for texts in (persona.descriptions, persona.suggestions, persona.greetings):
        yield from (each.text for each in texts)
