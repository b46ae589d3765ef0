"""Recognises feedback on the last answer: it is wrong, the correct value, or "forget it".

The words do not name the fact; the ledger finds it in the last answer of the session. Therefore the
rules are narrow: "No, it's fine" must not become anybody's name.
"""

import re

from text.facts.candidate import USER, Candidate, Denial, Finding

_WRONG = (
    r"(?:(?:no|nope|sorry)[,.! ]+)*"
    r"(?:(?:that(?:'s| is| was)|this is|you(?:'re| are)|it(?:'s| is)|you got that) "
    r"(?:(?:all|completely|simply|just) )?"
    r"(?:wrong|not (?:right|true|correct|so)|incorrect|mistaken|false)"
    r"|(?:that|it) isn't (?:right|true|correct|so)|wrong|you remember (?:that )?wrong)"
)
_WRONG_CHINESE = r"(?:[这那]?不对|不是的|不是这样的?|你?(?:说|记|搞)?错了)"
_RIGHT = r"([\w'-]+(?: [\w'-]+){0,3})"
_RIGHT_CHINESE = r"([^\s，,。！!？?；;的了不没]{1,12})"
_DENIAL = re.compile(
    rf"(?:{_WRONG}|(?:no[,! ]+)?that(?:'s| is) not (?:my|his|her|its) name)[.! ]*"
    rf"|{_WRONG_CHINESE}(?:[，,。！! ]*{_WRONG_CHINESE})*[。！! ]*"
    r"|(?:那|这)不是我的名字[。！! ]*",
    re.IGNORECASE,
)
_SET_RIGHT = re.compile(
    rf"{_WRONG}[,.;:! -]+(?:it|that|he|she|the (?:right|correct) (?:one|answer)|it should be)"
    rf"(?:'s| is|'s called| is called)? {_RIGHT}[.!]*"
    rf"|{_WRONG_CHINESE}[，,。！! ]*(?:是|应该是|而是|[他她它]叫){_RIGHT_CHINESE}[。！!]*",
    re.IGNORECASE,
)
# What the person said just before was not what they meant.
_MEANT = re.compile(
    rf"(?:(?:no|sorry|oh|wait|oops|i mean|my mistake)[,.! ]+)*(?:i (?:meant|mean)(?: to say)?"
    rf"|i should have said"
    rf"|make that|correction)[,: ]+{_RIGHT}[.!]*"
    rf"|(?:(?:不好意思|抱歉|对不起|哦|不|错了)[，,。！! ]*)*(?:我(?:是说|的意思是|想说的是|说错了)"
    rf"|更正)[，,：: ]*(?:是)?{_RIGHT_CHINESE}[。！!]*",
    re.IGNORECASE,
)
# Without the word "wrong", only a name or a number counts as the correct value.
_INSTEAD = re.compile(
    r"(?i:no|nope)[,.!]* (?i:it's|it is|he's|she's|he is|she is)(?: called)? "
    r"([A-ZÀ-Þ\d][\w'-]*(?: [A-ZÀ-Þ\d][\w'-]*){0,3})[.!]*"
)
_NAME = re.compile(
    r"(?:no[,.! ]+)?(?:that(?:'s| is) not my name|my name(?:'s| is) not [\w'-]+|i(?:'m| am) not "
    r"called [\w'-]+|that(?:'s| is) not what i(?:'m| am) called)"
    r"[,.;:! -]+(?:(?:but|actually|and) )?(?:it(?:'s| is)|i(?:'m| am)(?: called)?|my name(?:'s| is)"
    r"|call me) (?P<v>[^\W\d_][\w'-]*(?: [A-ZÀ-Þ][\w'-]*){0,2})[.!]*",
    re.IGNORECASE,
)
_NAME_CHINESE = re.compile(
    r"(?:不[，,]?|不对[，,]?)?(?:(?:那|这)不是我的名字|我不叫[^\s，,。]{1,8})[，,。！! ]*"
    r"(?:我叫|我的名字是|我是|是|叫)(?P<v>[\u4e00-\u9fff·]{1,6}|[A-Za-z][A-Za-z'-]*)[。！!]*"
)
_FORGET = re.compile(
    r"(?:(?:no|please|oh|ok|okay|actually|can you|could you|you can|just)[,.! ]+)*"
    r"(?:forget (?:that|it|about (?:that|it)|what i (?:just )?(?:said|told you))(?: again)?"
    r"|(?:do not|don't) remember (?:that|this)|never ?mind what i (?:just )?said)"
    r"(?:[, ]+please)?[.! ]*"
    r"|(?:请|麻烦)?(?:你)?(?:忘(?:掉|了|记)(?:这个|那个|这件事|那件事|这些|它|我刚才说的"
    r"|我刚说的)?吧?"
    r"|(?:不要|别)(?:记住?|记着)(?:这个|那个|它|我刚才说的)?)[。！! ]*",
    re.IGNORECASE,
)
_NO_VALUE = re.compile(
    r"^(?:fine|ok|okay|good|right|true|wrong|not|no|all|just|a|an|the|my|your|his|her|what|how|too"
    r"|so|very|really|only|me|you|it|that|this|here|there|more|less|nothing|something|nice|raining"
    r"|because|about|in|on|at|for|to|from|还|也|就|因为|我|你|这|那)\b"
    r"|^(?:还|也|就|因为|我|你|这|那|什么|谁|哪)",
    re.IGNORECASE,
)


def feedback(text: str) -> list[Finding] | None:
    """Extracts feedback on the last answer.

    Args:
        text: The whole turn of the person.

    Returns:
        The findings; None if the turn is not feedback and has to be read like any other text.
    """
    said = " ".join(text.replace("’", "'").split())
    if _DENIAL.fullmatch(said):
        return [Denial()]
    if _FORGET.fullmatch(said):
        return [Denial(also_told=True)]
    for pattern, sentence in ((_NAME, "My name is {}."), (_NAME_CHINESE, "我叫{}。")):
        if (match := pattern.fullmatch(said)) is not None:
            name = match["v"]
            return [
                Candidate(
                    subject=USER,
                    attribute="name",
                    value=name,
                    text=sentence.format(name),
                    confidence=0.95,
                )
            ]
    if (meant := _MEANT.fullmatch(said)) is not None:
        right = next(value for value in meant.groups() if value)
        return None if _NO_VALUE.match(right) else [Denial(right=right, also_told=True)]
    match = _SET_RIGHT.fullmatch(said) or _INSTEAD.fullmatch(said)
    if match is None:
        return None
    right = next((value for value in match.groups() if value), "")
    return None if _NO_VALUE.match(right) else [Denial(right=right)]
