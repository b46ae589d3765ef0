"""What a short utterance is: nothing, a sign of listening, a command to stop, or speech.

The words are those that people use while somebody else goes on speaking (English and Chinese).
A recogniser makes small words of a cough, so that those count only in longer utterances.
"""

from __future__ import annotations

import enum
import unicodedata

# The longest sound that is nothing but a sign of listening, or a cough.
SHORT_S = 0.6


def word_set(words: str) -> frozenset[str]:
    """Gives the words of a text, each once."""
    return frozenset(words.split())


_BACKCHANNELS = word_set("""
    uhhuh uh huh mm mmm mhm mmhm hm hmm aha ah oh yeah yep yup yes ok okay right sure wow cool nice
    great good really exactly indeed 嗯 嗯嗯 哦 喔 噢 啊 对 对对 对的 是 是的 好 好的
    行 明白 知道了 原来如此 这样啊
    """)
_PHRASES = frozenset({"i see", "got it", "all right", "go on", "of course", "uh huh", "mm hm"})
_STOPS = frozenset(
    {
        "stop",
        "stop it",
        "stop talking",
        "stop please",
        "please stop",
        "shut up",
        "be quiet",
        "quiet",
        "silence",
        "enough",
        "thats enough",
        "停",
        "停下",
        "停一下",
        "停止",
        "别说了",
        "不要说了",
        "闭嘴",
        "住口",
        "安静",
        "够了",
    }
)
_COUGHS = frozenset({"a", "the", "of", "and", "in", "to", "it", "i", "ha", "her", "er", "um", "uh"})


class Said(enum.Enum):
    """What an utterance is while somebody else speaks."""

    NOTHING = enum.auto()
    BACKCHANNEL = enum.auto()
    STOP = enum.auto()
    SPEECH = enum.auto()


def normal(text: str) -> str:
    """Gives a text without case, punctuation and doubled white space: two that sound alike."""
    kept = (
        "" if character in "'’-" else character if _is_word(character) else " "
        for character in unicodedata.normalize("NFKC", text).casefold()
    )
    return " ".join("".join(kept).split())


def classify(text: str, *, seconds: float = 0.0) -> Said:
    """Tells what an utterance is.

    Args:
        text: What was recognised.
        seconds: How long the speech was; 0 if it is not known.
    """
    plain = normal(text)
    words = plain.split()
    if not words:
        return Said.NOTHING
    if plain in _STOPS or plain.replace(" ", "") in _STOPS:
        return Said.STOP
    if seconds <= SHORT_S and len(words) == 1 and words[0] in _COUGHS:
        return Said.NOTHING
    if plain in _PHRASES or all(word in _BACKCHANNELS for word in words):
        return Said.BACKCHANNEL
    return Said.SPEECH


def _is_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")
