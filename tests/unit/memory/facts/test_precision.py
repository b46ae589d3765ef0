"""Precision and recall of distilling on turns that the rules were not written with.

In its first run the first set reached 74 and 81 % in English, 100 and 95 % in Chinese; the rules
were then fixed with it. The second set was written afterwards: rules must not be changed to fit it.
"""

import re

import pytest

from text.facts.candidate import Candidate
from text.facts.extraction import findings

FIRST_SAID = {
    "hey there, I'm called Thomas by the way": {"user.name=Thomas"},
    "You can call me Bea": {"user.name=Bea"},
    "my name is priya and I work at a hospital": {"user.name=priya"},
    "We moved house, so I live in Leeds now": {"user.home=Leeds"},
    "I'm living in Buenos Aires these days": {"user.home=Buenos Aires"},
    "Originally I come from Ghana": {"user.origin=Ghana"},
    "I come from a small village in Peru": set(),
    "I was born in Hamburg but grew up elsewhere": {"user.birthplace=Hamburg"},
    "my birthday's on July 14th": {"user.birthday=July 14th"},
    "I turned 52 last week": {"user.age=52"},
    "I'm 27": {"user.age=27"},
    "I am a retired teacher": {"user.job=retired teacher"},
    "I work for Siemens": {"user.employer=Siemens"},
    "I've been working as a plumber for ten years": {"user.job=plumber"},
    "I'm studying medicine in Lyon": {"user.studies=medicine in Lyon"},
    "careful, I am allergic to bee stings": {"user.allergy=bee stings"},
    "I have diabetes, so no sugar": {"user.health=diabetes"},
    "I'm vegan": {"user.diet=vegan"},
    "I don't eat pork": {"user.does not eat=pork"},
    "My wife's name is Clara and she is a dentist": {"wife.name=Clara"},
    "my son Jakob starts school tomorrow": {"son.name=Jakob"},
    "We have a parrot named Coco": {"parrot.name=Coco"},
    "My mum lives in Cork": {"mum.home=Cork"},
    "My boss is called Mrs Winter": {"boss.name=Mrs Winter"},
    "My favorite colour is dark green": {"user.favourite colour=dark green"},
    "I adore Italian opera": {"user.likes=Italian opera"},
    "I hate getting up early": {"user.dislikes=getting up early"},
    "I'm a big fan of Arsenal": {"user.likes=Arsenal"},
    "I play chess on Sundays": {"user.plays=chess"},
    "I speak Polish, Czech and a little Russian": {"user.speaks=Polish, Czech"},
    "I've got three brothers": {"user.has=three brothers"},
    "Oh, and my daughter is allergic to eggs": {"daughter.allergy=eggs"},
    "I really enjoy long train journeys": {"user.likes=long train journeys"},
    "大家都叫我老王，我叫王建国": {"user.name=王建国"},
    "您好，我名叫林悦": {"user.name=林悦"},
    "我现在住在杭州": {"user.home=杭州"},
    "我去年搬到了深圳": {"user.home=深圳"},
    "我来自云南": {"user.origin=云南"},
    "我在华为上班": {"user.employer=华为"},
    "我是一名小学老师": {"user.job=小学老师"},
    "我对海鲜过敏": {"user.allergy=海鲜"},
    "我生日是十月一号": {"user.birthday=十月一号"},
    "我今年四十五岁": {"user.age=四十五"},
    "我吃素": {"user.diet=吃素"},
    "我不吃香菜": {"user.does not eat=香菜"},
    "我女儿叫小雨": {"女儿.name=小雨"},
    "我家有一只猫叫咪咪": {"猫.name=咪咪"},
    "我妈妈住在西安": {"妈妈.home=西安"},
    "我最喜欢的颜色是蓝色": {"user.favourite 颜色=蓝色"},
    "我很喜欢爬山": {"user.likes=爬山"},
    "我讨厌堵车": {"user.dislikes=堵车"},
    "我会弹钢琴": {"user.plays=钢琴"},
    "我老公对青霉素过敏": {"老公.allergy=青霉素"},
}
FIRST_NOTHING = """
I'm on my way home
I'm just looking around
I am in a hurry
I'm not sure about that
I'm all ears
I'm fed up with this
I'm called to the office again
I live for the weekend
I live with that
I live in hope
I work hard every day
I work as fast as I can
I work for a living
My name is on the list
My name is hard to spell
My birthday is coming up
I was born yesterday, you think
I have a question about my bill
I have two questions
I have to call my sister
My brother is late again
My sister thinks so too
My dog is hungry
My car is in the garage
I love you
I love how quiet it is here
I like it when you sing
I like what you said
I like that idea
I don't like this answer
I hate to say it
I hate that
I'd love to visit Japan
I would like a table for two
I enjoy myself
I play it by ear
I speak from experience
I study the menu
If I were a doctor I could help
My friend says he lives in Rome
She told me her name is Lena
He works as a nurse
They live in Madrid
Call me back in five minutes
Call me when you are done
Could you call me a taxi
I'm from time to time a bit slow
I've moved to the front row
I moved on
Is my name Thomas?
Tell me where I live
Pretend I am a pirate
In the film I am called Neo
I can't eat any more
I don't eat that late
I am two minutes late
I'm 5 minutes away
My favourite is still to come
I used to play the piano
I might be allergic to cats
Wish me luck, I am nervous
我来了
我在路上
我在听
我是来问问题的
我是第一次来
我叫了外卖
我叫不出名字
我住得很远
我住在这里
我喜欢你的声音
我喜欢这样
我不喜欢这个回答
我爱你
我不吃了
我不吃这个
我有两个问题
我会打电话给他
我的车坏了
我妈妈很忙
我女儿在睡觉
我朋友说他住在上海
他是医生
她来自日本
你叫什么
我以前住在南京
我可能对花粉过敏
如果我是老师就好了
我想搬到海边
我是认真的
我对这个很感兴趣
我在想办法
我最喜欢的就是这样
"""


SECOND_SAID = {
    "By the way, my name's Oliver Stone": {"user.name=Oliver Stone"},
    "please call me Doctor Who": set(),
    "Call me Lizzie": {"user.name=Lizzie"},
    "I live in the Netherlands": {"user.home=the Netherlands"},
    "I just moved to Porto with my girlfriend": {"user.home=Porto"},
    "Well, I'm from South Korea": {"user.origin=South Korea"},
    "I was born in 1968, a long time ago": {"user.birth_year=1968"},
    "My birthday is on Christmas Eve": {"user.birthday=Christmas Eve"},
    "I am 61 years old and still working": {"user.age=61"},
    "I'm an electrician": {"user.job=electrician"},
    "I work as a tour guide in the summer": {"user.job=tour guide in the summer"},
    "I work at the post office": set(),
    "I'm allergic to penicillin, please remember": {"user.allergy=penicillin"},
    "I have asthma": {"user.health=asthma"},
    "I never eat fish": {"user.does not eat=fish"},
    "My husband's name is Marc": {"husband.name=Marc"},
    "My daughter is called Zoe and she is six": {"daughter.name=Zoe"},
    "I have a horse named Storm": {"horse.name=Storm"},
    "My grandmother lives in Lisbon": {"grandmother.home=Lisbon"},
    "my dad works as a baker": {"dad.job=baker"},
    "My favourite band is The Cure": {"user.favourite band=The Cure"},
    "I like strong coffee but I don't like tea": {
        "user.likes=strong coffee",
        "user.dislikes=tea",
    },
    "I can't stand horror films": {"user.dislikes=horror films"},
    "I play the guitar": {"user.plays=guitar"},
    "I have four cats": {"user.has=four cats"},
    "I speak Dutch and English": {"user.speaks=Dutch and English"},
    "I'm really into gardening": {"user.likes=gardening"},
    "I used to live in Rome, now I live in Turin": {"user.home=Turin"},
    "我叫陈静": {"user.name=陈静"},
    "我的名字是David": {"user.name=David"},
    "我目前住在武汉": {"user.home=武汉"},
    "我是广东人": {"user.origin=广东"},
    "我在一家银行工作": {"user.employer=一家银行"},
    "我现在是软件工程师": {"user.job=软件工程师"},
    "我对牛奶过敏，记住哦": {"user.allergy=牛奶"},
    "我的生日是三月八日": {"user.birthday=三月八日"},
    "我二十八岁了": {"user.age=二十八"},
    "我的儿子叫乐乐": {"儿子.name=乐乐"},
    "我养了一只狗，叫旺财": {"狗.name=旺财"},
    "我哥哥住在广州": {"哥哥.home=广州"},
    "我最喜欢的歌手是周杰伦": {"user.favourite 歌手=周杰伦"},
    "我特别喜欢下棋": {"user.likes=下棋"},
    "我受不了噪音": {"user.dislikes=噪音"},
}
SECOND_NOTHING = """
I'm afraid not
I'm on the phone
I am from your bank
I'm done for today
I am at the station
I'm an idiot
I am a big mess today
I'm a fan of short answers, so keep it brief
I live nearby
I live in hell right now
I live alone
My name does not matter
My name is nobody's business
My birthday is tomorrow
I was born to run
I work too much
I work for myself
I work from home on Fridays
I have time
I have a dog to walk now
I have to see my doctor
My mother is calling
My father said no
My boss is angry with me
My friend is right about you
I love that song you played
I like your hair
I like to think so
I like both
I don't like where this is going
I hate you
I enjoyed it
I play games with you
I speak louder now
I can't eat another bite
I'm 100 percent sure
My favourite is the first one
My job is killing me
I never eat before noon
Suppose I live in Cairo
He told me my name is odd
Do I live in Leeds?
Once I was a sailor
我走了
我是说明天
我是你的朋友
我住在那边
我住在他家
我在工作
我在家
我叫你呢
我叫不醒他
我喜欢听你说话
我不喜欢
我爱吃什么你知道吗
我对你说过
我有一只手受伤了
我的狗病了
我朋友来了
我不吃早饭的时候会头疼
我会唱歌给你听
他最喜欢的颜色是红色
听说他搬到了北京
我是不是住在北京
"""


def shown(text: str) -> set[str]:
    return {
        f"{one.subject}.{one.attribute}={one.value}"
        for one in findings(text)
        if isinstance(one, Candidate)
    }


def measured(said: dict[str, set[str]], nothing: str, *, chinese: bool) -> tuple[float, float]:
    """Returns precision and recall, and prints unexpected results."""
    right = wrong = missed = 0
    cases = said | {line.strip(): set() for line in nothing.strip().splitlines()}
    part = {t: e for t, e in cases.items() if bool(re.search("[\u4e00-\u9fff]", t)) is chinese}
    for text, expected in part.items():
        found = shown(text)
        right += len(found & expected)
        wrong += len(found - expected)
        missed += len(expected - found)
        if found != expected:
            print(f"{text}: {found}, not {expected}")
    precision, recall = right / (right + wrong), right / (right + missed)
    print(f"{len(part)} turns: precision {precision:.3f}, recall {recall:.3f}")
    return precision, recall


@pytest.mark.parametrize("chinese", [False, True])
def test_precision_and_recall_on_turns_that_mended_the_rules(chinese: bool) -> None:
    precision, recall = measured(FIRST_SAID, FIRST_NOTHING, chinese=chinese)
    assert precision >= 0.95
    assert recall >= 0.95


@pytest.mark.parametrize("chinese", [False, True])
def test_precision_and_recall_on_held_out_turns(chinese: bool) -> None:
    precision, recall = measured(SECOND_SAID, SECOND_NOTHING, chinese=chinese)
    assert precision >= 0.8
    assert recall >= 0.8
