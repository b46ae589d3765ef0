"""Compares the topic of a question with a text: the words that carry meaning, as search tokens."""

from __future__ import annotations

from typing import Final

from retrieval.tokeniser import FUNCTION_WORDS, tokens
from text.scripts import is_ideographic

_NO_TOPIC: Final = FUNCTION_WORDS | frozenset(
    tokens(
        "still now ever again called name names tell told say said mention remember know recall"
        " remind thing things anything something call many much"
        " 我 你 现在 还 记得 告诉 说 提 知道 关于 名字 叫 时候 多少 几 过 来着 里 哪里 没有"
        " 大 岁 年 月 日 号 天"
    )
)


_PRESENT: Final = {
    stem: tokens(present)[0]
    for stem, present in (
        ("bought", "buy"), ("went", "go"), ("ate", "eat"), ("saw", "see"), ("seen", "see"),
        ("lost", "lose"), ("found", "find"), ("made", "make"), ("met", "meet"), ("left", "leave"),
        ("sold", "sell"), ("wrote", "write"), ("written", "write"), ("read", "read"),
        ("drove", "drive"), ("flew", "fly"), ("took", "take"), ("got", "get"), ("gave", "give"),
        ("began", "begin"), ("broke", "break"), ("broken", "break"), ("won", "win"),
        ("came", "come"), ("ran", "run"), ("swam", "swim"), ("sang", "sing"), ("drank", "drink"),
        ("spoke", "speak"), ("taught", "teach"), ("slept", "sleep"), ("built", "build"),
    )
}  # fmt: skip


def _words(text: str) -> list[str]:
    """Returns the tokens of a text, irregular verbs in the present: "bought" as "buy"."""
    return [_PRESENT.get(word, word) for word in tokens(text)]


def topic_of(words: str) -> frozenset[str]:
    """Returns the words of a question that name its topic, as tokens."""
    return frozenset(
        word
        for word in _words(words)
        # A pair of characters with one of them is no word of the topic either.
        if word not in _NO_TOPIC and not (is_ideographic(word[0]) and _NO_TOPIC & set(word))
    )


def covered(topic: frozenset[str], text: str) -> float:
    """Returns how much of a topic stands in a text, 0 to 1."""
    return len(topic & set(_words(text))) / len(topic) if topic else 0.0
