"""Extracts facts with the llm stage over gRPC; while it fails, only the rules are used."""

import uuid
from typing import Final

from anima.llm.v1 import llm_pb2 as llm
from memory.facts.llm_facts import SCHEMA, TOOL, UnreadableError, believed, question_of
from memory.language_model import LanguageModel, token_of
from memory.service import metrics
from memory.settings import MemorySettings
from services.runtime.calls.streams import received
from services.runtime.errors import AnimaError
from services.runtime.observing.logs import get_logger
from text.facts.candidate import Candidate, Denial, Finding
from text.facts.extraction import MAX_CHARS

_MAX_ANSWER_CHARS = 20_000
_TOOL: Final = llm.Tool(
    name=TOOL,
    description="Notes lasting facts that the person stated about themselves or theirs.",
    parameters_json_schema=SCHEMA,
)


class LlmReader:
    """Extracts facts with a language model; they replace the facts of the rules.

    Feedback and endings are always extracted by the rules. After a failure the model is not used
    for a minute.
    """

    def __init__(self, model: LanguageModel) -> None:
        """Creates a reader, which closes the model when it is closed."""
        self._model = model

    async def close(self) -> None:
        """Closes the model."""
        await self._model.close()

    async def read(self, text: str, by_rules: list[Finding]) -> list[Finding]:
        """Returns the findings of a turn; those of the rules if the model fails or is not needed.

        Args:
            text: The words of the person.
            by_rules: The findings of the rules.
        """
        is_feedback = any(isinstance(one, Denial) for one in by_rules)
        if is_feedback or self._model.is_left_alone:
            return by_rules
        turn = text[:MAX_CHARS]
        try:
            facts = believed(await self._answer(turn), turn)
        except (AnimaError, UnreadableError) as error:
            metrics.FAILED_LLM_READINGS.inc()
            get_logger().warning(
                "the llm stage failed; facts are extracted by the rules", problem=str(error)
            )
            self._model.leave_alone()
            return by_rules
        others = [one for one in by_rules if not isinstance(one, Candidate)]
        # In the wording of the rules, a fact stays the same however often it is extracted.
        known = {_key(one): one for one in by_rules if isinstance(one, Candidate)}
        return [*others, *(known.get(_key(fact), fact) for fact in facts)]

    async def _answer(self, turn: str) -> str:
        config = llm.GenerateConfig(
            turn_id=f"facts-{uuid.uuid4().hex}",
            epoch=1,
            question=question_of(turn),
            tools=[_TOOL],
        )
        call = self._model.ask(config)
        text = ""
        async for response in received("llm", call, last="finished"):
            event = response.WhichOneof("event")
            if event == "tool_call" and response.tool_call.name == TOOL:
                call.cancel()
                return str(response.tool_call.arguments_json)
            if event == "delta":
                text += response.delta.text
                if len(text) > _MAX_ANSWER_CHARS:
                    call.cancel()
                    raise UnreadableError("the answer does not end")
        return text


def _key(fact: Candidate) -> tuple[str, str, str]:
    return fact.subject, fact.attribute, fact.value_key


def reader_of(settings: MemorySettings) -> LlmReader | None:
    """Creates the reader for the settings; None if they name no llm stage."""
    if not settings.llm_target or not settings.facts:
        return None
    return LlmReader(LanguageModel(settings.llm_target, token=token_of(settings)))
