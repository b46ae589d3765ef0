"""Sentences for people, when something is away or was not understood, in their language."""

from __future__ import annotations

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.stages.spec import STAGES, StageTexts
from text.languages import is_chinese_tag, language_of

_SOME_PART = {"en": StageTexts(part="A part of me"), "zh": StageTexts(part="我的一部分")}
_FAILED = {
    "en": "{part} has failed, so I could not finish. Please ask again in a moment.",
    "zh": "{part}出了故障，我没能说完。请稍后再问一次。",
}
_DEGRADED = {
    "en": "{part} does not work at the moment, so I go on without it.",
    "zh": "{part}暂时无法使用，我先不用它来继续。",
}
_APOLOGIES = {
    "en": "I am sorry, something in me has failed, so I cannot finish this answer.",
    "zh": "抱歉，我出了点故障，没办法把话说完。",
}
_NOT_UNDERSTOOD = {
    "en": "I did not understand that. Please say it again.",
    "zh": "我没有听清，请再说一遍。",
}
_GOING_AWAY = {
    "en": "I am being restarted. Please connect again in a moment.",
    "zh": "服务正在重启，请稍后重新连接。",
}


def language_for(question: str, *, chosen: str, spoken: str) -> str:
    """The language in which a person who asks this is told of trouble.

    Args:
        question: What was asked.
        chosen: The language chosen for the conversation, BCP-47; empty: that of each question.
        spoken: The language that is listened for.
    """
    return chosen or language_of(question, (spoken, *_FAILED))


def stage_failed(stage: str, language: str, turn_id: str) -> pb.Notice:
    """A stage failed and the answer could not be finished."""
    tongue = _tongue(language)
    text = _FAILED[tongue].format(part=_texts(stage, tongue).part)
    return pb.Notice(kind=pb.NOTICE_KIND_STAGE_FAILED, stage=stage, text=text, turn_id=turn_id)


def degraded(stage: str, language: str, turn_id: str = "") -> pb.Notice:
    """A stage is busy or away, and the conversation goes on without it."""
    tongue = _tongue(language)
    texts = _texts(stage, tongue)
    text = texts.degraded or _DEGRADED[tongue].format(part=texts.part)
    return pb.Notice(kind=pb.NOTICE_KIND_DEGRADED, stage=stage, text=text, turn_id=turn_id)


def apology(language: str) -> str:
    """What is spoken when an answer cannot be finished."""
    return _APOLOGIES[_tongue(language)]


def not_understood(language: str) -> pb.Notice:
    """Nothing was understood."""
    text = _NOT_UNDERSTOOD[_tongue(language)]
    return pb.Notice(kind=pb.NOTICE_KIND_NOT_UNDERSTOOD, stage="asr", text=text)


def going_away(language: str) -> pb.Notice:
    """The gateway is going away."""
    return pb.Notice(kind=pb.NOTICE_KIND_GOING_AWAY, text=_GOING_AWAY[_tongue(language)])


def _texts(stage: str, tongue: str) -> StageTexts:
    spec = STAGES.get(stage)  # the gateway itself is no stage
    return _SOME_PART[tongue] if spec is None else spec.texts.get(tongue, _SOME_PART[tongue])


def _tongue(language: str) -> str:
    return "zh" if is_chinese_tag(language) else "en"
