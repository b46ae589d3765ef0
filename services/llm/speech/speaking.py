"""The last step shared by generative engines: from a model's output to an engine's answer."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, TypeAlias

from services.llm.engine import Delta, End, EndReason, Item
from services.llm.prompt.prompt import Prompt
from services.llm.prompt.tools import ToolCall
from services.llm.speech.reasoning import ReasoningHabit
from services.llm.speech.words import pieces
from services.llm.speech.writing import Writing
from services.runtime.errors import Unavailable
from services.runtime.observing.logs import get_logger

Written: TypeAlias = str | ToolCall | EndReason
"""Output of a model: text, calls, and finally the end reason."""
_SECRET: Final = secrets.token_bytes(32)


async def speak(
    prompt: Prompt,
    written: AsyncGenerator[Written, None],
    *,
    habit: ReasoningHabit | None = None,
    as_written: bool = False,
) -> AsyncGenerator[Item, None]:
    """Converts a model's output to an answer.

    Args:
        prompt: The question.
        written: Text and calls of tools, then the end reason. It is closed at the end of the
            answer,
            which may come before the model's end; cancelling it must stop the model.
        habit: Whether the model's answers begin inside a block of reasoning; an engine keeps one,
            and this answer may change it.
        as_written: Whether markup is kept, because the answer is structured and not for speech.

    Returns:
        Any number of `Delta` and `ToolCall`, then one `End`. Text is paced by
        `Prompt.word_interval_ms` if it is set.

    Raises:
        Unavailable: The output contains nothing that can be spoken.
    """
    habit = habit or ReasoningHabit()
    writing = Writing(prompt, habit=habit, as_written=as_written)
    pace = _Pace(prompt.word_interval_ms)
    reason = EndReason.COMPLETE
    spoke = False
    async with aclosing(written):
        async for item in written:
            if isinstance(item, EndReason):
                reason = item
                break
            if isinstance(item, ToolCall):
                spoke = True
                yield item
                continue
            said = writing.feed(item)
            if writing.ended_unopened and habit.learn():
                get_logger().warning(
                    "the model ends its reasoning without beginning it: from now on its answers are"
                    " read as beginning in reasoning; set ANIMA_LLM_OPENS_IN_REASONING=true"
                )
            if said and not prompt.word_interval_ms:
                spoke = True
                yield Delta(said)
            elif said:
                async for delta in pace.deltas(said):
                    spoke = True
                    yield delta
            if writing.full:
                yield End(reason=EndReason.LENGTH)
                return
    if writing.is_unclosed:
        habit.forget()
    async for delta in pace.deltas(writing.finish()):
        spoke = True
        yield delta
    if not spoke:
        raise Unavailable("the model returned nothing that can be spoken", reason="EMPTY_ANSWER")
    yield End(reason=EndReason.LENGTH if writing.full else reason)


def cache_salt(prompt: Prompt) -> str:
    """Returns a salt that separates the cached prompts of users without identifying them.

    The response time of a shared cache reveals what others have said (CVE-2025-46570). An unknown
    user shares the cache with nobody.
    """
    if not prompt.user_id:
        return secrets.token_hex(16)
    return hmac.digest(_SECRET, prompt.user_id.encode(), "sha256").hex()[:32]


class _Pace:
    """Yields text word by word if an interval is set, otherwise at once."""

    def __init__(self, interval_ms: int | None) -> None:
        self._interval_s = (interval_ms or 0) / 1000
        self._due_s: float | None = None

    async def deltas(self, text: str) -> AsyncGenerator[Delta, None]:
        """Splits and delays a text."""
        if not text:
            return
        if not self._interval_s:
            yield Delta(text)
            return
        loop = asyncio.get_running_loop()
        for piece in pieces(text):
            if self._due_s is not None:
                await asyncio.sleep(max(0.0, self._due_s - loop.time()))
            self._due_s = loop.time() + self._interval_s
            yield Delta(piece)
