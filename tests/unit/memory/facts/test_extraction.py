"""The facts that are extracted from the words of people, and above all those that are not."""

import pytest

from text.facts.candidate import Candidate, Denial, Ending, Replacement
from text.facts.extraction import findings

# What a person says, and the facts in it as "subject.attribute=value".
SAID = {
    "Hi, my name is Ada and I live in Graz.": {"user.name=Ada", "user.home=Graz"},
    "My name's Ada Lovelace.": {"user.name=Ada Lovelace"},
    "i live in new york city": {"user.home=new york city"},
    "I've moved to Vienna because of my new job": {"user.home=Vienna"},
    "I'm from Norway, you know": {"user.origin=Norway"},
    "I was born in 1990": {"user.birth_year=1990"},
    "My birthday is on the third of May": {"user.birthday=the third of May"},
    "I am 34 years old": {"user.age=34"},
    "I work as a nurse": {"user.job=nurse"},
    "Well, I'm a software developer at the moment": {"user.job=software developer"},
    "I'm allergic to peanuts and shellfish": {"user.allergy=peanuts and shellfish"},
    "I'm a vegetarian": {"user.diet=vegetarian"},
    "My dog is called Rex.": {"dog.name=Rex"},
    "I have a cat called Minka": {"cat.name=Minka"},
    "my younger sister's name is Hannah": {"younger sister.name=Hannah"},
    "My sister Hannah is getting married in June": {"sister.name=Hannah"},
    "My brother lives in Oslo": {"brother.home=Oslo"},
    "My favourite film is Spirited Away": {"user.favourite film=Spirited Away"},
    "I really love hiking in the mountains": {"user.likes=hiking in the mountains"},
    "I can't stand loud music": {"user.dislikes=loud music"},
    "I don't like rain, but I like snow": {"user.dislikes=rain", "user.likes=snow"},
    "I play the cello in an orchestra": {"user.plays=cello"},
    "I have two children": {"user.has=two children"},
    "I speak French and German": {"user.speaks=French and German"},
    "No, that's wrong, my dog is called Max": {"dog.name=Max"},
    "Actually, my name is Eve": {"user.name=Eve"},
    "我叫小明，我住在成都。": {"user.name=小明", "user.home=成都"},
    "你好，我的名字是王芳": {"user.name=王芳"},
    "其实我搬到上海了": {"user.home=上海"},
    "我对花生过敏": {"user.allergy=花生"},
    "我的生日是五月三号": {"user.birthday=五月三号"},
    "我的狗叫小黑，是一只边牧": {"狗.name=小黑"},
    "我是护士": {"user.job=护士"},
    "我是四川人": {"user.origin=四川"},
    "我最喜欢的电影是千与千寻": {"user.favourite 电影=千与千寻"},
    "我不喜欢下雨": {"user.dislikes=下雨"},
    "我今年三十岁": {"user.age=三十"},
    "不对，我的狗叫小白": {"狗.name=小白"},
}
NOTHING = """
    What is my name?
    Where do I live
    I'm a bit tired today
    I am sorry about that
    I'm called away often, sorry
    I love it
    I like that
    I like how you said this
    I'd like a coffee, please
    I would love to live in Paris
    If I lived in Rome I would be happy
    Imagine my name is Bond
    I wish I lived in Vienna
    He said my name is strange
    Your name is Anima
    You live in a computer
    My name is not important
    I live in a small house
    I live in the past
    I live in fear of spiders
    I used to live in Berlin
    I work as hard as I can
    I'm going to the shop
    I have no idea
    I have to go now
    I have one question
    My dog is barking
    My cat is very old
    My car is broken
    I play along
    I hate when this happens
    I don't like you
    I was born ready
    I am not a doctor
    I'm not from here
    Tell me about your favourite film
    My favourite one is that
    Can you call me later?
    Please call me tomorrow at nine
    I'm happy
    I am one of many
    I'm in the kitchen
    I moved to the next question
    The weather in Graz is fine
    She lives in Oslo
    Maybe I like tea
    My friend said that he was late
    I don't eat here
    I study hard
    I'm from the future
    Do you know where I live?
    I speak too fast
    我叫什么名字？
    我住在哪里
    我叫你早点来
    我不知道
    我很累
    我喜欢你
    如果我住在北京就好了
    他叫小明
    你住在哪里
    我是说真的
    我要去吃饭
    今天天气很好
    我想喝咖啡
    我是不是说错了
    我的狗在叫
    我爱这个
    我是好人
    我叫他回家
    我有一个问题
"""


def shown(text: str) -> set[str]:
    return {
        f"{one.subject}.{one.attribute}={one.value}"
        for one in findings(text)
        if isinstance(one, Candidate)
    }


def test_precision_and_recall_of_the_set_made_by_hand() -> None:
    right = wrong = missed = 0
    faults = []
    cases = SAID | {line.strip(): set() for line in NOTHING.strip().splitlines()}
    for text, expected in cases.items():
        found = shown(text)
        right += len(found & expected)
        wrong += len(found - expected)
        missed += len(expected - found)
        if found != expected:
            faults.append(f"{text}: {found}, not {expected}")
    precision, recall = right / (right + wrong), right / (right + missed)
    print(f"{len(cases)} sentences: precision {precision:.3f}, recall {recall:.3f}")
    assert precision >= 0.95, faults
    assert recall >= 0.9, faults


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I no longer live in Graz", Ending(attribute="home", value="Graz")),
        ("I've quit my job", Ending(attribute="job", value="")),
        ("我已经不住在成都", Ending(attribute="home", value="成都")),
        ("It's Max, not Rex.", Replacement(old="Rex", new="Max")),
        ("是小白，不是小黑", Replacement(old="小黑", new="小白")),
        ("No, that is wrong.", Denial()),
        ("你记错了。", Denial()),
        ("That's not true!", Denial()),
        ("That is not my name.", Denial()),
        ("No, that's wrong, it's Max.", Denial(right="Max")),
        ("No, it's Max", Denial(right="Max")),
        ("不对，是小白", Denial(right="小白")),
        ("Forget that, please.", Denial(also_told=True)),
        ("Please forget what I just said", Denial(also_told=True)),
        ("忘掉这个吧", Denial(also_told=True)),
    ],
)
def test_what_ends_and_corrects(text: str, expected: object) -> None:
    assert findings(text) == [expected]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("That's not my name, it is Eve.", "Eve"),
        ("No, that is not my name, I'm called Eve", "Eve"),
        ("My name is not Ada, it's Eve", "Eve"),
        ("不对，我叫小红。", "小红"),
        ("那不是我的名字，我叫小红", "小红"),
        ("我不叫小明，我叫小红。", "小红"),
    ],
)
def test_a_name_that_is_set_right(text: str, name: str) -> None:
    (found,) = findings(text)
    assert isinstance(found, Candidate)
    assert (found.subject, found.attribute, found.value) == ("user", "name", name)


@pytest.mark.parametrize(
    "text",
    [
        "No, it's fine.",
        "No, it's raining",
        "Wrong, it is not here",
        "I forget that often",
        "Don't forget that",
        "Never mind",
        "不是我",
        "别忘了",
        "我忘了",
        "不对，是这样的",
    ],
)
def test_what_is_no_feedback_on_a_fact(text: str) -> None:
    assert findings(text) == []


def test_a_long_text_and_an_odd_one_give_nothing_and_take_no_time() -> None:
    assert findings("my " * 4_000) == []
    assert findings("I like " + "a" * 8_000) in ([], findings("I like " + "a" * 8_000))
    assert findings("\0\n. . . 。") == []
