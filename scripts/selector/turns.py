"""Turns made from templates, each with its source: personal memory, knowledge, both or none.

Written for this purpose. The held-out set has templates and fillings of its own.
"""

from itertools import islice, product
from typing import NamedTuple


def _values(joined: str) -> list[str]:
    return joined.split(", ")


SLOTS = {
    "thing": _values(
        "bicycle, guitar, passport, garden, laptop, sofa, recipe book, camera, tent, kitchen"
    ),
    "kin": _values("sister, dog, son, wife, boss, neighbour, mother, cat, uncle, best friend"),
    "act": _values(
        "go running, take the pills, call the bank, visit Rome, start the diet, see the dentist"
    ),
    "topic": _values(
        "volcanoes, black holes, the French revolution, photosynthesis, jazz, inflation, bees"
    ),
    "city": _values("Paris, Oslo, Lima, Cairo, Boston, Prague"),
    "doc": _values(
        "handbook, manual, contract, price list, policy, brochure, user guide, terms, "
        "booklet, regulations, memo, agreement, data sheet, white paper, catalogue"
    ),
    "matter": _values(
        "returns, the warranty, holidays, expenses, the battery, opening hours, fees, "
        "safety, cancellations, overtime, shipping, complaints, visitors"
    ),
    "东西": _values("自行车, 吉他, 护照, 花园, 电脑, 沙发, 相机, 厨房"),
    "亲人": _values("妹妹, 狗, 儿子, 妻子, 老板, 邻居, 妈妈, 猫, 叔叔"),
    "题目": _values("火山, 黑洞, 法国大革命, 光合作用, 爵士乐, 通货膨胀, 蜜蜂"),
    "文件": _values(
        "手册, 说明书, 合同, 价目表, 规定, 宣传册, 用户指南, 文件, 文档, 协议, 产品目录, 备忘录"
    ),
    "事项": _values(
        "退货, 保修, 休假, 报销, 电池, 营业时间, 费用, 安全, 取消订单, 加班, 送货, 投诉"
    ),
}
PERSONAL = """
what is the name of my {kin}
what is my {kin} called
where does my {kin} live
when did I buy the {thing}
what did I tell you about my {thing}
do you remember my {kin}
do you still know where I put the {thing}
which {thing} did I want to buy
when do I have to {act}
did I already {act}
when was the last time that we talked about my {kin}
what did we talk about yesterday
what did you recommend to me for the {thing}
what do you know about me
where do I live
where do I work
how old am I
what is my name
who am I
what am I allergic to
which food do I not like
what is my favourite colour
how long have I had my {thing}
what did I say about {city}
when was I in {city}
who went with me to {city}
my {kin} is called Tom
I live in {city}
I finally bought a {thing}
I am worried about my {kin}
remember that I want to {act}
you told me something about a {thing} last week
as I said before, my {kin} is ill
what would I enjoy doing in {city}
what should I give my {kin} for the birthday
can you recommend a film that I would like
plan a dinner for me, you know what I eat
and my other {kin}
and the other one
what about my {kin}
and where did I buy it
is he still working there
what was her name again
the one that I mentioned earlier
how did it go with my {kin}
which one did I choose in the end
我的{亲人}叫什么名字
我的{亲人}住在哪里
我什么时候买的{东西}
你还记得我的{亲人}吗
我跟你说过我的{东西}吗
我上次说到哪里了
我们昨天聊了什么
你给我推荐的{东西}是哪一个
我住在哪里
我叫什么
我多大了
我对什么过敏
我最喜欢的颜色是什么
我的{亲人}生病了
我刚买了{东西}
我很担心我的{亲人}
那我的{亲人}呢
另一个呢
她叫什么来着
我后来选了哪个
帮我想想送{亲人}什么礼物
你知道我喜欢吃什么
上次提到的{东西}怎么样了
我是在哪里买的
"""
KNOWLEDGE = """
what does the {doc} say about {matter}
who made the {doc}
when was the {doc} published
does the {doc} require anything for {matter}
read me what the {doc} says on {matter}
tell me the rules for {matter}
how does your firm treat {matter}
describe the process for {matter}
find {matter} in the {doc}
show me the part of the {doc} on {matter}
and {matter}, what about that in the {doc}
list the requirements for {matter}
which paragraph defines {matter}
does the {doc} allow {matter}
according to the {doc}, what about {matter}
what are the rules for {matter}
what is your policy on {matter}
where in the {doc} is {matter} described
does the {doc} mention {matter}
how is {matter} handled here
summarise the {doc}
what is on page three of the {doc}
which section covers {matter}
who is responsible for {matter} in the company
how much are the fees in the {doc}
what does the document that was uploaded say about {matter}
quote the {doc} on {matter}
and what does the {doc} say
and on {matter}
what are your opening hours
how do I reset the device
how long is the warranty of the product
what are the technical data of your product
which file formats does the product support
explain the section on {matter}
手册里关于{事项}是怎么写的
{文件}是什么时候发布的
谁写了{文件}
在{文件}里找一下{事项}
{事项}要怎么办理
公司对{事项}有哪些要求
列出{文件}的要点
{文件}的哪一部分说到{事项}
根据{文件}，{事项}怎么办
{文件}里有没有提到{事项}
{事项}的规定是什么
{文件}第三页写了什么
总结一下{文件}
公司里谁负责{事项}
你们的{事项}政策是什么
关于{事项}，{文件}怎么说
产品的保修期多长
怎么重置设备
那{文件}里怎么说
哪一章讲{事项}
上传的文件里写了什么
"""
BOTH = """
does the {doc} apply to my {thing}
what does the {doc} say about my {thing}
is what I told you about my {kin} allowed by the {doc}
does the {doc} of my {thing} cover what happened to me
according to the {doc}, may my {kin} come along
compare what I said about my {thing} with the {doc}
which rule of the {doc} fits my case
you know my situation, what does the {doc} say on {matter}
does my {kin} fall under the rules for {matter}
how many holidays do I have left according to the {doc}
check in the {doc} whether my {thing} still has a warranty
which of the products in the {doc} would suit me
what in the {doc} could I eat with my allergy
was I right about {matter}, what does the {doc} say
does the {doc} agree with what I told you yesterday
is the plan that we made last week in line with the {doc}
and what does that mean for my {thing}, going by the {doc}
does the policy on {matter} hold for someone of my age
find in the {doc} what helps with the problem that I had with my {thing}
what does the {doc} recommend for a person with my job
{文件}适用于我的{东西}吗
根据{文件}，我的{亲人}可以一起来吗
{文件}里关于我的{东西}是怎么说的
我跟你说过的情况，{文件}里怎么规定
按照{文件}，我还剩几天假
我的{东西}坏了，{文件}里有没有办法
{文件}里哪个产品适合我
我对花生过敏，{文件}里哪些我能吃
我上次说的计划符合{文件}吗
我这个年纪适用{事项}的规定吗
对照一下我说的和{文件}
查查{文件}，我的{东西}还在保修期吗
"""
NOTHING = """
hello
hi there, how are you today
good evening
thank you very much
that was great
okay
yes please
no thanks
stop
go on
say that again
louder please
speak more slowly
can you hear me
what can you do
who are you
tell me a joke
tell me a story about {topic}
sing a song
what is {topic}
how do {topic} work
why is the sky blue
explain {topic} to me
tell me something about {topic}
who discovered {topic}
what is the capital of {city}
how far is it from {city} to Rome
how many people live in {city}
what is the weather like in {city}
what time is it in {city}
what is twelve times nine
translate good morning into French
write a poem about {topic}
give me an example
give me a tip for cooking rice
can you help me with something
let me think
I see
I understand
I think so
how do you spell rhythm
is {topic} important
what is the difference between {topic} and art
and in {city}
and how about {topic}
why
really
what do you mean
turn the light on
set a timer for ten minutes
count to five
what language is this
are you a robot
do you like {topic}
goodbye, see you
how does one repair a {thing}
what does a {thing} cost in general
which {thing} is the best on the market
你好
早上好
谢谢你
好的
再说一遍
大声一点
你能做什么
你是谁
讲个笑话
讲个关于{题目}的故事
什么是{题目}
{题目}是怎么回事
为什么天是蓝的
给我解释一下{题目}
法国的首都是哪里
从北京到上海有多远
今天天气怎么样
现在几点了
十二乘以九是多少
把早上好翻译成法语
写一首关于{题目}的诗
我明白了
让我想想
我觉得是
为什么呢
真的吗
那{题目}呢
打开灯
定一个十分钟的闹钟
从一数到五
你是机器人吗
你喜欢{题目}吗
{东西}怎么修理
一般{东西}多少钱
"""
_PER_TEMPLATE = 6
_ENDINGS = ("", "?", ".")


class Turn(NamedTuple):
    """A turn and the kind of source that it needs."""

    text: str
    label: int
    """The value of its `memory.search.selector_model.Kind`."""
    template: str


def labelled(label: int, templates: str, slots: dict[str, list[str]] = SLOTS) -> list[Turn]:
    """Returns each line of some templates with filled slots, with and without punctuation."""
    turns: list[Turn] = []
    for number, line in enumerate(templates.strip().splitlines()):
        used = [name for name in slots if f"{{{name}}}" in line]
        fillings = list(product(*(slots[name] for name in used)))
        # Spread over all values, so that each slot of a template gets several of them.
        stride = max(1, len(fillings) * 5 // (_PER_TEMPLATE * 4))
        for filled in islice(fillings, 0, None, stride):
            text = line
            for name, value in zip(used, filled, strict=True):
                text = text.replace(f"{{{name}}}", value)
            turns.append(Turn(text + _ENDINGS[(number + len(turns)) % 3], label, line))
    return turns


def training_turns() -> list[Turn]:
    """Returns all training turns."""
    return [
        *labelled(0, NOTHING),
        *labelled(1, PERSONAL),
        *labelled(2, KNOWLEDGE),
        *labelled(3, BOTH),
    ]
