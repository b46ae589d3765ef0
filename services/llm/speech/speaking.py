"""The common end of engines that write freely: from a model's text to an engine's answer."""

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
from services.llm.speech.words import pieces
from services.llm.speech.writing import Writing
from services.runtime.errors import Unavailable

Written: TypeAlias = str | ToolCall | EndReason
"""What a model gives: text, calls, and last why it ended."""
_SECRET: Final = secrets.token_bytes(32)


async def speak(
    prompt: Prompt,
    written: AsyncGenerator[Written, None],
    *,
    opens_in_reasoning: bool = False,
    as_written: bool = False,
) -> AsyncGenerator[Item, None]:
    """Makes an answer from what a model writes.

    Args:
        prompt: The question.
        written: Text and calls of tools, then the reason of the end. It is closed at the end of the
            answer, also when that comes before the model's, and its cancellation must stop the
            model.
        opens_in_reasoning: See `WritingOptions.opens_in_reasoning`.
        as_written: Whether marks stay, because the answer is structured and not for speech.

    Returns:
        Any number of `Delta` and `ToolCall`, then one `End`. Text comes at
        `Prompt.word_interval_ms` if that is set.

    Raises:
        Unavailable: The model wrote nothing that can be said.
    """
    writing = Writing(prompt, opens_in_reasoning=opens_in_reasoning, as_written=as_written)
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
    async for delta in pace.deltas(writing.finish()):
        spoke = True
        yield delta
    if not spoke:
        raise Unavailable("the model wrote nothing that can be said", reason="EMPTY_ANSWER")
    yield End(reason=EndReason.LENGTH if writing.full else reason)


def cache_salt(prompt: Prompt) -> str:
    """What keeps the cached prompts of people apart, without saying who they are.

    A cache that is shared tells by its speed what others have said (CVE-2025-46570). Who is not
    known shares with nobody.
    """
    if not prompt.user_id:
        return secrets.token_hex(16)
    return hmac.digest(_SECRET, prompt.user_id.encode(), "sha256").hex()[:32]


class _Pace:
    """Gives text out word by word if that was asked for, else at once."""

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
