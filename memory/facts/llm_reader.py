"""Asks the llm stage, over gRPC, what facts a turn states; while it fails, the rules read alone."""

import uuid
from typing import Final

from anima.llm.v1 import llm_pb2 as llm
from memory import metrics
from memory.facts.candidate import Candidate, Denial, Finding
from memory.facts.extraction import MAX_CHARS
from memory.facts.llm_facts import SCHEMA, TOOL, UnreadableError, believed, question_of
from memory.language_model import LanguageModel
from memory.settings import MemorySettings
from services.runtime.errors import AnimaError
from services.runtime.logs import get_logger
from services.runtime.streams import received

_MAX_ANSWER_CHARS = 20_000
_TOOL: Final = llm.Tool(
    name=TOOL,
    description="Notes lasting facts that the person stated about themselves or theirs.",
    parameters_json_schema=SCHEMA,
)


class LlmReader:
    """Reads turns by a language model; its facts take the place of those of the rules.

    Feedback and endings are read by the rules in any case. After a failure the model is left alone
    for a minute.
    """

    def __init__(self, model: LanguageModel) -> None:
        """Makes a reader that closes the model at its end."""
        self._model = model

    async def close(self) -> None:
        """Closes the model."""
        await self._model.close()

    async def read(self, text: str, by_rules: list[Finding]) -> list[Finding]:
        """Gives what a turn says; what the rules found if the model fails or need not be asked.

        Args:
            text: What the person said.
            by_rules: What the rules read out of it.
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
                "the rules read the facts: the llm stage failed", problem=str(error)
            )
            self._model.leave_alone()
            return by_rules
        others = [one for one in by_rules if not isinstance(one, Candidate)]
        # Told in words of the rules, a fact is the same one however often it was read.
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
    """Makes the reader of the settings; None if they name no llm stage."""
    if not settings.llm_target or not settings.facts:
        return None
    return LlmReader(LanguageModel(settings.llm_target, token=settings.llm_token))
