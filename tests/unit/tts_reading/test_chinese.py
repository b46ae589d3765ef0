"""What a Chinese voice says: the cases of docs/tts.md and their neighbours."""

from __future__ import annotations

import pytest

from services.tts.reading.spoken import Spoken
from services.tts.reading.words import words_of


def said(text: str) -> str:
    return words_of(Spoken.of(text), "zh").text


@pytest.mark.parametrize(
    ("shown", "spoken"),
    [
        ("气温是-12度。", "气温是零下十二度。"),
        ("气温-5℃", "气温零下五摄氏度"),
        ("最低−3.5摄氏度", "最低零下三点五摄氏度"),
        ("余额为-3.5元。", "余额为负三点五元。"),
        ("7×24", "七乘二十四"),
        ("3*4=12", "三乘四等于十二"),
        ("2^3=8", "二的三次方等于八"),
        ("x²+y²", "x的平方+y的平方"),
        ("x>5且y<3", "x大于五且y小于三"),
        ("5≤7，a≠b", "五小于等于七，a不等于b"),
        ("比例为1:3", "比例为一比三"),
        ("比分是3:2", "比分是三比二"),
        ("按10:1配", "按十比一配"),
        ("10:30开会", "十点三十分开会"),
        ("2024-2025学年", "二零二四至二零二五学年"),
        ("2019-2021年", "二零一九至二零二一年"),
        ("A→B", "A到B"),
    ],
)
def test_signs(shown: str, spoken: str) -> None:
    assert said(shown) == spoken


@pytest.mark.parametrize(
    ("shown", "spoken"),
    [
        ("305", "三百零五"),
        ("1208", "一千二百零八"),
        ("2,000,000人", "两百万人"),
        ("10500", "一万零五百"),
        ("10,000", "一万"),
        ("1001和1010", "一千零一和一千零一十"),
        ("价格12,500元", "价格一万二千五百元"),
        ("￥1,299.00元", "一千二百九十九元"),
        ("￥1,299.50", "一千二百九十九点五元"),
        ("¥5000万", "五千万元"),
        ("花了$2.4M", "花了两百四十万美元"),
        ("欠€1.2bn", "欠十二亿欧元"),
        ("共￥100元", "共一百元"),
        ("300 USD", "三百美元"),
        ("我重5kg，今天25℃。", "我重五公斤，今天二十五摄氏度。"),
        ("50m²，3.5m/s", "五十平方米，三点五米每秒"),
        ("第2名，第2次，第22名", "第二名，第二次，第二十二名"),
        ("2个人", "两个人"),
        ("有50%的人，12.5%", "有百分之五十的人，百分之十二点五"),
        ("占20%~30%", "占百分之二十到百分之三十"),
        ("5%~8%", "百分之五到百分之八"),
        ("20~30人，10–20人，5-6天", "二十到三十人，十到二十人，五到六天"),
        ("大约~3 km，~5人", "大约 三公里，大约五人"),
        ("3/4的人，1/3", "四分之三的人，三分之一"),
        ("2024年3月5日下午3:05", "二零二四年三月五日下午三点零五分"),
        ("iPhone 15 Pro", "iPhone 十五 Pro"),
        ("GPT-4和5G手机", "GPT 四和五G手机"),
    ],
)
def test_numbers(shown: str, spoken: str) -> None:
    assert said(shown) == spoken


@pytest.mark.parametrize(
    ("shown", "spoken"),
    [
        ("电话是13812345678", "电话是幺三八幺二三四五六七八"),
        ("打138 1234 5678", "打幺三八，幺二三四，五六七八"),
        ("拨打400-820-8820", "拨打四零零，八二零，八八二零"),
        ("010-62345678", "零幺零，六二三四五六七八"),
        ("110和119", "幺幺零和幺幺九"),
        ("请打110。", "请打幺幺零。"),
        ("有110个人", "有一百一十个人"),
        ("房号1208", "房号幺二零八"),
        ("验证码是305", "验证码是三零五"),
        ("G7538次", "G七五三八次"),
        ("CA1832航班", "CA幺八三二航班"),
        ("发到jo.doe@mail.example.org。", "发到jo点doe艾特mail点example点org。"),
        ("版本2.10.3", "版本二点十点三"),
        ("访问example.org，192.168.0.1", "访问example点org，一九二点一六八点零点一"),
        ("打开config.yaml", "打开config点yaml"),
        ("见https://www.a.com/x?y=1。", "见a点com。"),
    ],
)
def test_codes_and_addresses(shown: str, spoken: str) -> None:
    assert said(shown) == spoken


def test_words_stay() -> None:
    assert said("今天天气很好，我们去公园吧！") == "今天天气很好，我们去公园吧！"
    assert said("我喜欢SUV和MPV。") == "我喜欢SUV和MPV。"
