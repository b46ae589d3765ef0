from __future__ import annotations

import pytest

from text.facts.clauses import clauses
from text.facts.extraction import findings
from text.facts.reality import Reality

NOT_THEIR_OWN = {
    Reality.REPORTED: (
        "He said he lives in Oslo.",
        "My sister always says: I am allergic to peanuts.",
        "My doctor thinks I am 40 years old.",
        "Somebody told me my name is funny.",
        "他说他住在成都。",
        "我朋友李华说他住在成都。",
        "听说我住在北京。",
        "我姐姐总是说：我对花生过敏。",
    ),
    Reality.UNREAL: (
        "If I lived in Paris, I would be a painter.",
        "Suppose I was born in 1950.",
        "Let's say I am 90 years old.",
        "Pretend that my name is Batman.",
        "In the film the hero says my name is Bond.",
        "I wish I lived in Rome.",
        "I am 200 years old, just kidding.",
        "My name is Napoleon. Only joking!",
        "如果我住在巴黎，我会当画家。",
        "假装我叫蝙蝠侠。",
        "电影里主角说我叫邦德。",
        "我两百岁了，开玩笑的。",
    ),
}


@pytest.mark.parametrize(
    ("expected", "text"), [(kind, text) for kind, texts in NOT_THEIR_OWN.items() for text in texts]
)
def test_what_others_say_or_nobody_means_is_no_fact(expected: Reality, text: str) -> None:
    first = next(clauses(text))
    assert first.reality is expected
    assert findings(text) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("I said that I live in Leeds, and I live in York now.", "York"),
        ("I live in Leeds, but I would like to move.", "Leeds"),
        ("As I said, I live in Leeds.", "Leeds"),
        ("我会说德语，我住在苏州。", "苏州"),
    ],
)
def test_the_speaker_s_own_word_is_a_fact(text: str, value: str) -> None:
    assert value in {getattr(one, "value", "") for one in findings(text)}
