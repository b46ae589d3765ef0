"""Splits text into search tokens: word stems, CJK characters and pairs of CJK characters."""

import re
import threading
from functools import lru_cache
from itertools import pairwise

import snowballstemmer

from text.normal import normalised
from text.scripts import HANGUL, IDEOGRAPHIC

# Scripts without spaces between words, and Hangul, whose words include their particles.
_CJK = IDEOGRAPHIC + HANGUL
_TOKEN = re.compile(
    rf"(?P<cjk>[{_CJK}]+)"
    r"|(?P<number>\d+(?:[.,]\d+)+(?!\w))"
    rf"|(?P<word>[^\W_{_CJK}]+(?:'[^\W_{_CJK}]+)*)"
)
# A longer run is not a word; truncated, so that one message cannot fill an index with giant keys.
_MAX_TOKEN_CHARS = 64

_stemmer = snowballstemmer.stemmer("english")
_stemmer_lock = threading.Lock()


def tokens(text: str) -> list[str]:
    """Splits a text into search tokens.

    The text is NFKC-normalised and lower-cased; Latin letters lose their accents. Latin words
    become their English Snowball stems. A run of CJK characters becomes its single characters
    followed by its character pairs, which finds Chinese words of any length without a dictionary.
    Numbers are kept whole ("3.14"; "2,000" as "2000").

    Args:
        text: Any text, in any language.

    Returns:
        The tokens, in the order of the text, with repetitions.
    """
    found: list[str] = []
    for match in _TOKEN.finditer(normalised(text)):
        piece = match.group()
        if match.lastgroup == "cjk":
            found.extend(piece)
            found.extend(a + b for a, b in pairwise(piece))
        elif match.lastgroup == "number":
            found.append(piece.replace(",", "")[:_MAX_TOKEN_CHARS])
        else:
            found.append(_stem(piece[:_MAX_TOKEN_CHARS]))
    return found


@lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    if not word.isascii() or word.isdigit():
        return word
    # The stemmer stores the current word in itself, so it is not thread-safe.
    with _stemmer_lock:
        stem: str = _stemmer.stemWord(word)
    return stem


FUNCTION_WORDS = frozenset(
    tokens(
        "a about am an and any are as at be been but by can could did do does don't for from had"
        " has have he her him his how i i'm i've if in into is it its me my no not of on or our"
        " please she so some tell than that the their them then there these they this those to too"
        " up us was we were what what's when where which who why will with would yes you your"
        " 的 了 吗 呢 吧 啊 是 在 我们 你们 他们 她 它 这 那 有 和 与 就 也 都 很"
        " 什么 怎么 哪 谁 请"
    )
)
"""Words that carry grammar rather than the topic of a question, as tokens."""
