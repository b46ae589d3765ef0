"""Decides whether a turn needs memory at all.

Retrieval is cheap; what the selector protects is the prompt, from items that only look alike. It
leans to recall: a memory that is missing is the failure that people notice.
"""

import re
from enum import Enum

from retrieval.text import normalised

# Phrases that are said to the moment and never ask for anything from before.
_SMALL_TALK_ENGLISH = """
    hi, hello, hey, hi there, hello there, good morning, good afternoon, good evening, good night,
    bye, goodbye, bye bye, see you, see you later, thanks, thank you, thank you very much,
    many thanks, thanks a lot, ok, okay, yes, no, yeah, yep, nope, sure, right, great, cool, nice,
    fine, please, stop, wait, be quiet, go on, continue, next, repeat, louder, slower, faster,
    pardon, sorry, how are you, how are you doing, what's up, nice to meet you, welcome, well done,
    what can you do, who are you, what are you, what is your name, what's your name,
    tell me a joke, what time is it, what's the time, what day is it, can you hear me, help
"""
_SMALL_TALK_CHINESE = """
    你好, 您好, 嗨, 早上好, 早安, 下午好, 晚上好, 晚安, 再见, 拜拜, 谢谢, 谢谢你, 多谢, 好, 好的,
    是, 是的, 不, 不是, 嗯, 对, 行, 可以, 停, 停下, 等等, 等一下, 继续, 下一个, 再说一遍, 对不起,
    抱歉, 不客气, 你好吗, 最近好吗, 你是谁, 你叫什么, 你叫什么名字, 你会什么, 你能做什么, 讲个笑话,
    几点了, 现在几点, 帮助
"""
_SMALL_TALK = frozenset(
    " ".join(phrase.split())
    for phrase in f"{_SMALL_TALK_ENGLISH}, {_SMALL_TALK_CHINESE}".split(",")
)
# Words that point at the person or at what was before.
_CUES = re.compile(
    r"\b(?:i|i'm|i've|i'd|i'll|me|my|mine|myself|we|us|our|ours|remember|remind|recall|forget|forgot"
    r"|again|earlier|before|previously|already|yesterday|ago|last|told|said|mentioned|discussed)\b"
    r"|[我咱俺]|记得|记住|忘|上次|上回|之前|以前|刚才|昨天|前天|曾经|提过|说过|告诉过|聊过"
)
_BETWEEN_WORDS = re.compile(r"(?:[^\w']|_)+")
# Without a cue the best item must fit at least so well. Measured against five conversations of some
# 590 turns each: 98 of 100 questions about them pass, 80 of 100 about general knowledge do not.
_MIN_TOP_SCORE = 0.25
# What the trained judge sees no need for must fit better; of the questions about the conversations
# it takes one in a hundred.
_MIN_TOP_SCORE_NEEDLESS = 0.35
# By words alone 99 of 100 pass, and 40 of 100 do not.
_MIN_TOP_SCORE_BY_WORDS = 0.15


class Need(Enum):
    """What the words of a query say about its need of memory."""

    NONE = "none"
    """Small talk: no memory."""
    CERTAIN = "certain"
    """It points at the person or at what was before."""
    OPEN = "open"
    """The words do not say; how well the best item fits decides."""


def need_of(query: str) -> Need:
    """Judges a query by its words alone."""
    text = normalised(query)
    bare = _BETWEEN_WORDS.sub(" ", text).strip(" '")
    if not bare or bare in _SMALL_TALK:
        return Need.NONE
    return Need.CERTAIN if _CUES.search(text) else Need.OPEN


def fits(
    need: Need, top_score: float, *, by_words_alone: bool, judged_needless: bool = False
) -> bool:
    """Judges whether what was found should be used.

    Args:
        need: What the words of the query say.
        top_score: The score of the best item, 0 to 1.
        by_words_alone: Whether the score knows no vectors.
        judged_needless: Whether the trained judge sees no need of memory or knowledge.
    """
    least = _MIN_TOP_SCORE_BY_WORDS if by_words_alone else _MIN_TOP_SCORE
    if judged_needless:
        least = _MIN_TOP_SCORE_NEEDLESS
    return need is Need.CERTAIN or (need is Need.OPEN and top_score >= least)
