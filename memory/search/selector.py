"""Decides whether a turn needs memory at all, and which: the person's or the documents'.

Retrieval is cheap; the selector protects the prompt from items that only look similar. It favours
recall, because people notice a missing memory most.
"""

import re
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from memory.search.selector_model import Kind, SelectorModel
from text.normal import normalised

# Phrases about the moment that never ask for anything earlier.
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
# Words that refer to the person or to something earlier.
_CUES = re.compile(
    r"\b(?:i|i'm|i've|i'd|i'll|me|my|mine|myself|we|us|our|ours|remember|remind|recall|forget|forgot"
    r"|again|earlier|before|previously|already|yesterday|ago|last|told|said|mentioned|discussed)\b"
    r"|[我咱俺]|记得|记住|忘|上次|上回|之前|以前|刚才|昨天|前天|曾经|提过|说过|告诉过|聊过"
)
# Words that refer to something written.
_DOCUMENTS = re.compile(
    r"\b(?:documents?|files?|hand ?books?|manuals?|guides?|contracts?|polic(?:y|ies)|brochures?"
    r"|price lists?|regulations?|guidelines?|instructions?|sections?|chapters?|pages?|paragraphs?"
    r"|appendix|according to|uploaded|pdf)\b"
    r"|文件|文档|资料|手册|说明书|合同|规定|规章|指南|政策|价目表|条款|章节|第.{1,3}[章页节条]|哪一[章页节]|上传|根据"
)
# Words that ask for something that was said, which no document contains.
_PAST = re.compile(
    r"\b(?:remember|remind me|did i|have i told|i told you|i said|i mentioned|my name"
    r"|we talk(?:ed)?|last time|yesterday)\b"
    r"|记得|上次|上回|刚才|昨天|我说过|告诉过你|跟你说过|我叫|聊过"
)
_BETWEEN_WORDS = re.compile(r"(?:[^\w']|_)+")
# Without a cue the best item needs at least this score. Measured on five conversations of about
# 590 turns each: 98 of 100 questions about them pass, 80 of 100 about general knowledge do not.
_MIN_TOP_SCORE = 0.25
# The score needed where the trained model sees no need; it rejects one in a hundred of the
# questions about the conversations.
_MIN_TOP_SCORE_NEEDLESS = 0.35
# With words only, 99 of 100 pass and 40 of 100 do not.
_MIN_TOP_SCORE_BY_WORDS = 0.15


class Need(Enum):
    """The need of memory according to the words of a query."""

    NONE = "none"
    """Small talk: no memory."""
    CERTAIN = "certain"
    """It refers to the person or to something earlier."""
    OPEN = "open"
    """The words do not decide; the score of the best item does."""


def need_of(query: str) -> Need:
    """Classifies a query by its words alone."""
    text = normalised(query)
    bare = _BETWEEN_WORDS.sub(" ", text).strip(" '")
    if not bare or bare in _SMALL_TALK:
        return Need.NONE
    return Need.CERTAIN if _CUES.search(text) else Need.OPEN


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """The needs of a query."""

    words: Need
    """The need of memory according to its words."""
    kind: Kind
    """The kind of memory needed; both if uncertain."""
    probability: float
    """The probability of `kind`, 0 to 1; 0 if unknown because only the words were used."""

    @property
    def is_small_talk(self) -> bool:
        """Whether no search is needed."""
        return self.words is Need.NONE


def judgement_of(
    query: str, vector: NDArray[np.float32] | None, model: SelectorModel | None
) -> Judgement:
    """Classifies what a query needs, by rules and, if available, by the trained model.

    Args:
        query: The words of the person.
        vector: The vector of the query; None without an encoder.
        model: The trained model; None if there is none for the encoder.
    """
    words = need_of(query)
    if words is Need.NONE:
        return Judgement(words=words, kind=Kind.NOTHING, probability=1.0)
    text = normalised(query)
    on_documents = _DOCUMENTS.search(text) is not None
    if vector is None or model is None:
        return Judgement(words=words, kind=_kind_by_words(text, words, on_documents), probability=0)
    kind, chance = model.kind_of(query, vector)
    if kind is Kind.NOTHING and words is Need.CERTAIN:
        return Judgement(words=words, kind=Kind.PERSONAL, probability=1 - chance)
    # If the words and the model disagree, the result is uncertain.
    if (kind is Kind.PERSONAL and on_documents) or (
        kind is Kind.KNOWLEDGE and words is Need.CERTAIN
    ):
        kind = Kind.BOTH
    return Judgement(words=words, kind=kind, probability=chance)


def _kind_by_words(text: str, words: Need, on_documents: bool) -> Kind:
    if on_documents and words is Need.OPEN:
        return Kind.KNOWLEDGE
    if not on_documents and _PAST.search(text):
        return Kind.PERSONAL
    return Kind.BOTH


def fits(
    need: Need, top_score: float, *, by_words_alone: bool, judged_needless: bool = False
) -> bool:
    """Returns whether the search results should be used.

    Args:
        need: The need according to the words of the query.
        top_score: The score of the best item, 0 to 1.
        by_words_alone: Whether the score was computed without vectors.
        judged_needless: Whether the trained model sees no need of memory or knowledge.
    """
    least = _MIN_TOP_SCORE_BY_WORDS if by_words_alone else _MIN_TOP_SCORE
    if judged_needless:
        least = _MIN_TOP_SCORE_NEEDLESS
    return need is Need.CERTAIN or (need is Need.OPEN and top_score >= least)
