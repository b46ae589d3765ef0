import pytest

from memory.search.selector import Need, fits, judgement_of, need_of
from memory.search.selector_model import Kind


@pytest.mark.parametrize(
    "query",
    [
        "Hello!",
        "  thanks ",
        "OK.",
        "What’s up?",
        "How are you doing?",
        "再见。",
        "谢谢！",
        "你好吗？",
        "…",
        "👋",
    ],
)
def test_small_talk_needs_nothing(query: str) -> None:
    assert need_of(query) is Need.NONE
    assert not fits(need_of(query), 1.0, by_words_alone=False)


@pytest.mark.parametrize(
    "query",
    [
        "What is my dog called?",
        "Where did we go last summer?",
        "You said something about tea before",
        "Do you remember Anna?",
        "I'm hungry, what should be for dinner?",
        "What did we talk about yesterday",
        "我的生日是哪天？",
        "你还记得小明吗",
        "上次说到哪里了",
    ],
)
def test_a_person_or_the_past_needs_memory_however_little_fits(query: str) -> None:
    assert need_of(query) is Need.CERTAIN
    assert fits(need_of(query), 0.0, by_words_alone=False)


@pytest.mark.parametrize("query", ["What is the capital of France?", "and the other one?", "北京"])
def test_otherwise_the_best_item_decides(query: str) -> None:
    need = need_of(query)
    assert need is Need.OPEN
    assert fits(need, 0.5, by_words_alone=False)
    assert not fits(need, 0.2, by_words_alone=False)
    assert fits(need, 0.2, by_words_alone=True)
    assert not fits(need, 0.1, by_words_alone=True)


def test_cues_are_whole_words() -> None:
    assert need_of("Is Miami in Florida?") is Need.OPEN
    assert need_of("Who is Wendy?") is Need.OPEN


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("Hello!", Kind.NOTHING),
        ("Do you remember my dog?", Kind.PERSONAL),
        ("你还记得我说过什么吗", Kind.PERSONAL),
        ("What does the handbook say about holidays?", Kind.KNOWLEDGE),
        ("手册第三页写了什么", Kind.KNOWLEDGE),
        ("Did I tell you about the contract?", Kind.BOTH),
        ("What do I do with a broken lamp?", Kind.BOTH),
        ("and the other one?", Kind.BOTH),
    ],
)
def test_without_a_trained_judge_the_words_say_what_is_needed(query: str, kind: Kind) -> None:
    judged = judgement_of(query, None, None)
    assert judged.kind is kind
    assert judged.probability == (1 if kind is Kind.NOTHING else 0)
