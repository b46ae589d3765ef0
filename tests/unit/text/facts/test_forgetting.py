from __future__ import annotations

import pytest

from text.facts.forgetting import Scope, is_consent, wish_to_forget


@pytest.mark.parametrize(
    ("text", "subject", "attribute"),
    [
        ("Please forget that I am allergic to shellfish.", "user", "allergy"),
        ("Forget my name.", "user", "name"),
        ("Could you please delete my birthday", "user", "birthday"),
        ("Delete what you know about my job.", "user", "job"),
        ("请忘记我的名字。", "user", "name"),
        ("删除你知道的关于我工作的事。", "user", "job"),
    ],
)
def test_one_thing_is_to_be_forgotten(text: str, subject: str, attribute: str) -> None:
    wish = wish_to_forget(text)
    assert wish is not None
    assert wish.scope is Scope.SOME
    assert (wish.about[0].subject, wish.about[0].attributes[0]) == (subject, attribute)


@pytest.mark.parametrize(
    "text",
    ["Forget everything about me.", "Erase all you know about me", "please forget me",
     "忘记关于我的一切。", "把我的所有信息都删掉。"],
)  # fmt: skip
def test_everything_has_to_be_confirmed(text: str) -> None:
    wish = wish_to_forget(text)
    assert wish is not None
    assert wish.scope is Scope.EVERYTHING
    assert not wish.is_confirmed


def test_a_confirmation_in_the_same_breath_counts() -> None:
    wish = wish_to_forget("Yes, forget everything about me.")
    assert wish is not None
    assert wish.is_confirmed


@pytest.mark.parametrize(
    "text",
    ["Don't forget my name", "I forget that often", "Can you forget something?", "我忘了",
     "Delete the file", "Please remove the background noise", "你能忘掉一些事吗？"],
)  # fmt: skip
def test_what_is_no_wish(text: str) -> None:
    assert wish_to_forget(text) is None


def test_only_a_yes_is_consent() -> None:
    assert all(map(is_consent, ("Yes.", "yes please", "OK, do it", "是的。", "确定")))
    assert not any(map(is_consent, ("No.", "Yes, but later", "不要", "什么", "")))
