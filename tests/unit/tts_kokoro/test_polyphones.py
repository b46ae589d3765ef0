"""How characters of several readings are read in sentences."""

from __future__ import annotations

import pytest
import rjieba
from pypinyin import Style, lazy_pinyin

from services.tts.engines.kokoro.mandarin import words_of
from services.tts.engines.kokoro.mandarin_polyphones import readings_of

SENTENCES = {
    # read wrongly by pypinyin and jieba alone
    "这条路很长": "zhe4 tiao2 lu4 hen3 chang2",
    "他的头发太长了": "ta1 de5 tou2 fa4 tai4 chang2 le5",
    "你要等多长时间": "ni3 yao4 deng3 duo1 chang2 shi2 jian1",
    "这条河长三百公里": "zhe4 tiao2 he2 chang2 san1 bai3 gong1 li3",
    "孩子长得像妈妈": "hai2 zi5 zhang3 de5 xiang4 ma1 ma1",
    "第一行写了什么": "di4 yi1 hang2 xie3 le5 shen2 me5",
    "这行代码有错": "zhe4 hang2 dai4 ma3 you3 cuo4",
    "请重做一遍": "qing3 chong2 zuo4 yi1 bian4",
    "这句话有两重意思": "zhe4 ju4 hua4 you3 liang3 chong2 yi4 si5",
    "我还要还你钱": "wo3 hai2 yao4 huan2 ni3 qian2",
    "那本书他还没还": "na4 ben3 shu1 ta1 hai2 mei2 huan2",
    "你得好好休息": "ni3 dei3 hao3 hao3 xiu1 xi1",
    "他跑得很快": "ta1 pao3 de5 hen3 kuai4",
    "今天得早点睡": "jin1 tian1 dei3 zao3 dian3 shui4",
    "这么多你吃得了吗": "zhe4 me5 duo1 ni3 chi1 de5 liao3 ma5",
    "这可不得了": "zhe4 ke3 bu4 de2 liao3",
    "他慢慢地走过来": "ta1 man4 man4 de5 zou3 guo4 lai2",
    "她高兴地说": "ta1 gao1 xing4 de5 shuo1",
    "钥匙找不着": "yao4 shi5 zhao3 bu4 zhao2",
    "我爱听古典乐": "wo3 ai4 ting1 gu3 dian3 yue4",
    "我想睡个好觉": "wo3 xiang3 shui4 ge4 hao3 jiao4",
    "我们选他为班长": "wo3 men5 xuan3 ta1 wei2 ban1 zhang3",
    "以此为准": "yi3 ci3 wei2 zhun3",
    "她教我们数学": "ta1 jiao1 wo3 men5 shu4 xue2",
    "这只狗会弹吉他": "zhe4 zhi1 gou3 hui4 tan2 ji2 ta1",
    "请把声音调大": "qing3 ba3 sheng1 yin1 tiao2 da4",
    "我请了三天假": "wo3 qing3 le5 san1 tian1 jia4",
    "她种了一棵树": "ta1 zhong4 le5 yi1 ke1 shu4",
    # read rightly before, and still
    "他长大了": "ta1 zhang3 da4 le5",
    "校长说话不多": "xiao4 zhang3 shuo1 hua4 bu4 duo1",
    "我在银行工作": "wo3 zai4 yin2 hang2 gong1 zuo4",
    "一行人走了": "yi1 xing2 ren2 zou3 le5",
    "这样行不行": "zhe4 yang4 xing2 bu4 xing2",
    "这个箱子很重": "zhe4 ge5 xiang1 zi5 hen3 zhong4",
    "他还在这里": "ta1 hai2 zai4 zhe4 li3",
    "我还清楚": "wo3 hai2 qing1 chu3",
    "他得了第一名": "ta1 de2 le5 di4 yi4 ming2",
    "她赢得了比赛": "ta1 ying2 de2 le5 bi3 sai4",
    "我知道了": "wo3 zhi1 dao4 le5",
    "他坐在地上": "ta1 zuo4 zai4 di4 shang4",
    "这块地很大": "zhe4 kuai4 di4 hen3 da4",
    "他看着我": "ta1 kan4 zhe5 wo3",
    "我们都去成都": "wo3 men5 dou1 qu4 cheng2 du1",
    "音乐使人快乐": "yin1 yue4 shi3 ren2 kuai4 le4",
    "这个方法很方便": "zhe4 ge5 fang1 fa3 hen3 fang1 bian4",
    "东西很便宜": "dong1 xi1 hen3 pian2 yi5",
    "我感觉很好": "wo3 gan3 jue2 hen3 hao3",
    "为人民服务": "wei4 ren2 min2 fu2 wu4",
    "他有很多爱好": "ta1 you3 hen3 duo1 ai4 hao4",
    "这只能说明一点": "zhe4 zhi3 neng2 shuo1 ming2 yi4 dian3",
}


@pytest.mark.parametrize(("sentence", "expected"), SENTENCES.items())
def test_each_character_is_read_as_in_its_sentence(sentence: str, expected: str) -> None:
    words = rjieba.cut(sentence)
    read: list[str] = []
    for word, readings in zip(words, readings_of(words), strict=True):
        pinyin = lazy_pinyin(word, style=Style.TONE3, neutral_tone_with_five=True)
        read += [readings.get(index, each) for index, each in enumerate(pinyin)]
    assert " ".join(read) == expected


@pytest.mark.parametrize(
    ("sentence", "sounds"),
    [
        ("很长", "x ə↓n ꭧʰ a↗ŋ"),
        ("我得走", "w o↓ t ei↓ ʦ ou↓"),
        ("吃得了", "ꭧʰ ɨ→ t ɤ l j au↓"),
    ],
)
def test_the_reading_reaches_the_voice(sentence: str, sounds: str) -> None:
    words = words_of(sentence, chars=list(range(len(sentence))))
    symbols = "".join(unit.symbols for word in words for unit in word.units)
    assert symbols == sounds.replace(" ", "")


def test_a_single_character_and_nothing() -> None:
    assert readings_of([]) == []
    assert readings_of(["得"]) == [{}]
    assert readings_of(["长"]) == [{}]
