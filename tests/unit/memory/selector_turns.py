"""Held-out turns for the selector, written separately from its training turns.

They share no template and no filler with `scripts.selector.turns`.
"""

from scripts.selector.turns import Turn, labelled

SLOTS = {
    "kin": ["grandfather", "parrot", "girlfriend"],
    "gadget": ["telescope", "drill", "coffee machine"],
    "theme": ["glaciers", "the Roman empire", "vaccines"],
    "place": ["Tokyo", "Nairobi", "Dublin"],
    "paper": ["leaflet", "report", "specification"],
    "issue": ["refunds", "parking", "data protection"],
    "家人": ["爷爷", "鹦鹉", "女朋友"],
    "物件": ["望远镜", "电钻", "咖啡机"],
    "话题": ["冰川", "罗马帝国", "疫苗"],
    "资料": ["传单", "报告", "规格书"],
    "问题": ["退款", "停车", "数据保护"],
}
PERSONAL = """
how old is my {kin} by now
did I ever mention a {gadget} to you
whose {gadget} did I borrow
what did my {kin} want for Christmas
has my {kin} recovered
what was I planning for {place}
why did I not like {place}
could you remind me when I fly to {place}
I spoke with my {kin} this morning
we are moving to {place} in spring
my {gadget} broke again
which school did I go to
what do I do for a living
when is my birthday
how do I take my coffee
what instrument do I play
am I vegetarian
what was the name of that place I loved
and what does my {kin} do
what about the second one I bought
was it blue or green, the one I have
where was that again
please remember this: I hate onions
do I have any appointments that I told you about
what would suit someone like me
which {gadget} do I own
my {kin} got a new job in {place}
has the {gadget} that I ordered come up before
what was wrong with my {kin}
and hers
the same as last time, please
how much did I pay for the {gadget}
what would my {kin} think of {place}
我{家人}今年多大了
我{家人}后来好了吗
我跟谁借的{物件}
我的{物件}又坏了
我们春天要搬家
我是做什么工作的
我的生日是几号
我会什么乐器
我喝咖啡加糖吗
提醒我一下我什么时候出发
那我{家人}做什么工作
我买的第二个呢
我今天早上和{家人}聊过
我之前说想去哪儿旅行
我{家人}找到新工作了
我家的{物件}是什么颜色
还是跟上次一样
"""
KNOWLEDGE = """
please look up {issue} in the {paper}
is there anything on {issue} in the {paper}
what does section four of the {paper} require
tell me what the {paper} states about {issue}
how does the company deal with {issue}
what exactly is the procedure for {issue}
give me the passage of the {paper} about {issue}
which chapter of the {paper} explains {issue}
who wrote the {paper}
and {issue}, according to the {paper}
where does the {paper} define {issue}
does the {paper} forbid anything about {issue}
list what the {paper} says on {issue}
查一下{资料}里的{问题}
{资料}对{问题}有什么要求
公司怎么处理{问题}
{问题}的流程是什么
{资料}是谁写的
{资料}哪一段讲了{问题}
请列出{资料}中关于{问题}的内容
"""
BOTH = """
would my {gadget} be covered by the {paper}
what do the pages on {issue} in the {paper} mean for me and my {kin}
I told you what I earn, which tier of the {paper} am I in
look into the {paper} and tell me whether my {kin} is insured
how does the {paper} deal with a case like mine
is my {gadget} one of the models in the {paper}
can I bring my {kin} along, what does the {paper} say
go through the {paper} and pick what I would like
does section two of the {paper} touch what I mentioned about {issue}
and does the {paper} say anything about mine
我家的{物件}在{资料}的范围里吗
{资料}对我{家人}有什么影响
看看{资料}，我符合条件吗
我的情况，{资料}里是怎么讲{问题}的
从{资料}里挑一个我会喜欢的
那{资料}里有说到我的吗
"""
NOTHING = """
hey, nice to meet you
good night then
cheers
all right, got it
wait a second
please repeat your last sentence
a bit quieter
what are you able to do
make me laugh
what exactly are {theme}
give a short overview of {theme}
since when do {theme} exist
who was the first to study {theme}
name three facts about {theme}
what language do people speak in {place}
when is the best season to see {place}
is {place} bigger than Madrid
what is the square root of eighty one
say thank you in Japanese
compose a haiku about {theme}
how does a {gadget} work
what should one look for in a {gadget}
why is that so
interesting
are you sure about that
switch off the lamp
roll a dice
what about {theme}
and in winter
who won the world cup in 1998
how are clouds formed
what rhymes with orange
which river runs through {place}
recite something by Shakespeare
do {theme} still matter today
how do people in {place} greet each other
嗨，很高兴认识你
晚安
好，知道了
等一下
声音小一点
你都会些什么
让我笑一笑
{话题}到底是什么
简单介绍一下{话题}
谁最先研究{话题}
说三个关于{话题}的事实
日本的首都在哪
八十一的平方根是多少
用日语怎么说谢谢
{物件}的原理是什么
挑{物件}要注意什么
有意思
你确定吗
关灯
那冬天呢
云是怎么形成的
{话题}现在还重要吗
背一首唐诗
"""


def held_out_turns() -> list[Turn]:
    """Returns the turns."""
    return [
        *labelled(0, NOTHING, SLOTS),
        *labelled(1, PERSONAL, SLOTS),
        *labelled(2, KNOWLEDGE, SLOTS),
        *labelled(3, BOTH, SLOTS),
    ]
