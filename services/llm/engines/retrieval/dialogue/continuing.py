"""Goes on with an answer that was cut off by an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from services.llm.persona.corpus import Entry
from services.llm.prompt.prompt import Message, Role

# A shorter beginning may be that of several answers.
_MIN_HEARD_CHARS: Final = 6
_CLAUSE_ENDS: Final = ",.;:!?，。；：！？、"


def rest_of_the_cut(
    history: Sequence[Message], entries: Iterable[Entry], is_aside: Callable[[str], bool]
) -> str:
    """Returns what was not heard of the last answer, from the beginning of the cut clause.

    Args:
        history: The conversation.
        entries: The answers that the persona knows whole.
        is_aside: Whether a message of the user, such as "wait", leaves the answer before it open.

    Returns:
        The rest; empty if the last answer was heard to its end or is not known whole.
    """
    heard = _last_heard(history, is_aside)
    if len(heard) < _MIN_HEARD_CHARS:
        return ""
    for entry in entries:
        for wording in entry.wordings.values():
            for text in (*wording.answers, wording.more):
                if text and len(text) > len(heard) and text.startswith(heard):
                    return _from_cut(text, len(heard))
    return ""


def _last_heard(history: Sequence[Message], is_aside: Callable[[str], bool]) -> str:
    """Returns the heard part of the last answer that was more than "All right"."""
    answer = ""
    for message in reversed(history):
        if message.role is Role.ASSISTANT:
            answer = answer or message.text.strip()
        elif message.role is Role.USER:
            if not is_aside(message.text):
                return answer
            answer = ""
    return answer


def _from_cut(text: str, heard_chars: int) -> str:
    start = max(text.rfind(end, 0, heard_chars) for end in _CLAUSE_ENDS) + 1
    if not start:  # cut in the first clause: from the cut word
        start = max(text.rfind(" ", 0, heard_chars), 0) or heard_chars
    return text[start:].strip()
