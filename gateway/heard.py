"""What the person has heard of an answer: the text up to the position of playback."""

from __future__ import annotations

from collections.abc import Sequence

from anima.common.v1 import common_pb2 as common


def heard_text(text: str, words: Sequence[common.WordMark], played_samples: int) -> str:
    """Cuts an answer at the last word that was heard.

    A word counts as heard when at least half of it was played. Marks that follow a heard word
    directly, such as a full stop, stay with it.

    Args:
        text: The answer.
        words: Marks of its words in order; spans in code points of `text` and samples of the turn.
        played_samples: The first sample that was not played.

    Returns:
        The start of `text` up to the last heard word; empty if none was heard.
    """
    end = 0
    for word in words:
        middle = word.samples.start_sample + word.samples.sample_count / 2
        if word.HasField("chars") and played_samples > middle:
            end = max(end, word.chars.end_char)
    if end == 0:
        return ""
    while end < len(text) and not (text[end].isspace() or text[end].isalnum()):
        end += 1
    return text[:end]
