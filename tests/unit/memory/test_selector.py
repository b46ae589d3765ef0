import pytest

from memory.selector import Need, fits, need_of


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
