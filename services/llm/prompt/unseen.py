"""The answer of an engine that cannot see to a question about a picture."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from services.llm.engine import Delta, End, EndReason, Item, LlmEngine
from services.llm.prompt.prompt import Prompt
from text.languages import is_chinese_tag

_CANNOT_SEE: Final = {
    "en": "I cannot see pictures. Please tell me what is in it.",
    "zh": "我看不到图片。请告诉我上面有什么。",
}


def answer_of(engine: LlmEngine, prompt: Prompt) -> AsyncGenerator[Item, None]:
    """Returns an engine's answer, or says that it cannot see the pictures of the question."""
    if engine.describe().sees_pictures:
        return engine.answer(prompt)
    if prompt.pictures:
        return _cannot_see(prompt)
    return engine.answer(prompt.without_pictures())


async def _cannot_see(prompt: Prompt) -> AsyncGenerator[Item, None]:
    yield Delta(_CANNOT_SEE["zh" if is_chinese_tag(prompt.language) else "en"])
    yield End(reason=EndReason.COMPLETE)
