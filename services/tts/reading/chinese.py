"""How signs, units and numbers are said in Chinese, where neither library nor voices know it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from decimal import Decimal
from importlib.resources import files
from typing import Final

from services.tts.reading.rules import TAGS, Rule, rule
from text.scripts import HAN

_DATA: Final = tomllib.loads(
    (files("services.tts.reading") / "chinese.toml").read_text(encoding="utf-8")
)
_UNITS: Final[dict[str, str]] = _DATA["units"]
_MONEY: Final[dict[str, str]] = _DATA["money"]
_SIGNS: Final[dict[str, str]] = _DATA["signs"]
_GREEK: Final[dict[str, str]] = _DATA["greek"]
_DIGITS: Final = "零一二三四五六七八九"
_ON_THE_PHONE: Final = "零幺二三四五六七八九"
_NUMBER: Final = r"\d+(?:,\d{3})*(?:\.\d+)?"
_END: Final = r"(?![A-Za-z0-9_])"


def _any(texts: Iterable[str]) -> str:
    return "|".join(re.escape(each) for each in sorted(texts, key=len, reverse=True))


def by_digit(text: str, *, on_the_phone: bool = False) -> str:
    """Returns the digits of a text one by one, without its other characters.

    Args:
        text: Any text.
        on_the_phone: Whether 1 is 幺, as in telephone numbers.
    """
    digits = _ON_THE_PHONE if on_the_phone else _DIGITS
    return "".join(digits[int(char)] for char in text if char.isascii() and char.isdigit())


def _telephone(match: re.Match[str]) -> str:
    groups = re.findall(r"\d+", match.group())
    return ("加" if "+" in match.group() else "") + "，".join(
        by_digit(group, on_the_phone=True) for group in groups
    )


def _code(match: re.Match[str]) -> str:
    return by_digit(match.group(), on_the_phone=True)


_SPELLED: Final = {
    ".": "点", "/": "斜杠", "\\": "反斜杠", ":": "冒号", "_": "下划线", "-": "杠", "@": "艾特",
    "+": "加", "~": "波浪线",
}  # fmt: skip


def _spelled(text: str) -> str:
    parts = re.findall(r"[A-Za-z]+|\d+|.", text)
    return "".join(by_digit(each) if each.isdigit() else _SPELLED.get(each, each) for each in parts)


def _host(match: re.Match[str]) -> str:
    return _spelled(match["host"])


def _money(match: re.Match[str]) -> str:
    number = Decimal(match["number"].replace(",", ""))
    minus = "负" if match["minus"] else ""
    scale = match["scale"] or ""
    if scale in _DATA["scales"]:
        number *= Decimal(10) ** _DATA["scales"][scale]
        scale = ""
        for size, name in ((10**8, "亿"), (10**4, "万")):
            if number >= size and number % (size // 100) == 0:
                number, scale = number / size, name
                break
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{minus}{text}{scale}{_MONEY[match['sign']]}"


def _unit(match: re.Match[str]) -> str | None:
    unit = match["unit"].replace("μ", "µ")
    return f"{match['number']}{_UNITS[unit]}" if unit in _UNITS else None


def _power(match: re.Match[str]) -> str:
    exponent = (match["e1"] or match["e2"]).translate(_SUPERSCRIPTS)
    if exponent == "2":
        return f"{match['base']}的平方"
    return f"{match['base']}的{exponent.replace('-', '负')}次方"


_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ", "0123456789-n")
_SUBSCRIPTS: Final = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_TEMPERATURE: Final = r"(?:摄氏度|华氏度|度(?!数)|℃|°C|°)"
_CALLED: Final = r"(?:拨打|拨|打|电话|报警|火警|急救|热线|号码|客服)"
_NUMBERED: Final = (
    r"(?:房号|房间号?|门牌号?|车牌号?|航班号?|工号|学号|编号|邮编|验证码|密码|尾号|账号|单号)"
)
_SERVICES: Final = "110|119|120|122"

_SIDE: Final = r"[\w)）]"
_OTHER: Final = r"[\w(（-]"


def _after(before: str, digits: str, following: str = "") -> Rule:
    """Returns a rule that says the digits after something one by one, as on the telephone."""
    return rule(
        rf"{before}(?P<said>{digits}){following}",
        lambda match: by_digit(match["said"], on_the_phone=True),
    )


def _between(sign: str, words: str) -> Rule:
    return rule(rf"(?<={_SIDE})\s?(?:{sign})\s?(?={_OTHER})", words)


ADDRESSES: Final = (
    rule(
        r"(?:https?://|www\.)(?:www\.)?(?P<host>[\w.-]*\w)(?::\d+)?"
        r"(?:[/?#](?:[^\s<>\"'，。！？、；：）]*[\w/=&-])?)?",
        _host,
        re.IGNORECASE | re.ASCII,
    ),
    rule(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}", lambda m: _spelled(m.group()), re.ASCII),
    rule(
        r"(?<![\w.])\d+(?:\.\d+){3}(?![\w]|\.\d)"
        r"|(?<![A-Za-z0-9_@.])(?:[A-Za-z_][\w-]*\.)+[a-z]{2,5}\d?(?![\w]|\.\w)",
        lambda m: _spelled(m.group()),
        re.ASCII,
    ),
    rule(
        r"(?<![A-Za-z0-9.])[vV]?\d+(?:\.\d+){2}(?![A-Za-z0-9]|\.\d)",
        lambda m: m.group().replace(".", "点"),
    ),
)
"""Addresses and versions: every sign is spoken."""

CODES: Final = (
    rule(
        r"\+\d{1,3}[ -]?1[3-9]\d(?:[ -]?\d{4}){2}(?!\d)"
        r"|(?<!\d)1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?!\d)"
        r"|(?<!\d)(?:400|800|0\d{2,3})-\d{3,4}-?\d{4}(?!\d)|(?<!\d)0\d{2,3}-\d{7,8}(?!\d)",
        _telephone,
    ),
    _after(rf"{_CALLED}[是为：:]?\s?", r"\d{3,5}", r"(?![\d.,])(?![个元人次块])"),
    rule(
        rf"(?<![\d.,])(?:{_SERVICES})(?=[和、或与](?:{_SERVICES})(?!\d))"
        rf"|(?<=[和、或与])(?:{_SERVICES})(?![\d.,个元人次块年月日号米度%])",
        lambda m: by_digit(m.group(), on_the_phone=True),
    ),
    _after(rf"{_NUMBERED}[是为：:]?\s?[A-Za-z]?", r"\d{2,}", r"(?![\d.,])"),
    _after(r"(?<![A-Za-z])[GDCZTK]", r"\d{1,4}", "(?=次|号?列车)"),
    _after(r"(?<![A-Za-z])[A-Z]{2}", r"\d{3,4}", "(?=次?航班|号航班)"),
)
"""Telephone numbers, rooms, trains: digit by digit."""

AMOUNTS: Final = (
    rule(
        rf"(?P<minus>[-−])?(?P<sign>{_any(s for s in _MONEY if not s.isalpha())})\s?"
        rf"(?P<number>{_NUMBER})\s?(?P<scale>[万亿千百]+|(?:[kKMB]|bn)(?![A-Za-z]))?元?{_END}",
        _money,
    ),
    rule(
        rf"(?P<minus>(?<!{_SIDE})[-−])?(?P<number>{_NUMBER})\s?(?P<scale>[万亿千百]*)\s?"
        rf"(?P<sign>{_any(_MONEY)}){_END}",
        _money,
    ),
    rule(
        r"(?<!\d)(?P<a>[12]\d{3})\s?[-–—~～至到]\s?(?P<b>[12]\d{3})(?=年|学年)",
        lambda m: f"{by_digit(m['a'])}至{by_digit(m['b'])}",
    ),
    rule(rf"{_NUMBER}(?:%|℃|°C)?(?P<said>\s?[–—~～]\s?)(?=[-−]?\d)", "到"),
    rule(rf"(?<![\d.,-]){_NUMBER}%?(?P<said>-)(?={_NUMBER}(?:%|[{HAN}]))", "到"),
    rule(r"(?<=约)[~～](?=\d)", " "),
    rule(r"[~～](?=\d)", "大约"),
    rule(
        r"(?:比例|比分|比率|配比|比值|按照?|以)[为是：:]?\s?\d+(?P<said>[:：])\d+",
        "比",
    ),
    rule(r"(?<![\d:：])\d{1,4}(?P<said>[:：])\d(?![\d:：])", "比"),
    rule(rf"(?:(?<!{_SIDE})|(?<=[{HAN}]))[-−](?=\d+(?:\.\d+)?{_TEMPERATURE})", "零下"),
    rule(rf"(?:(?<!{_SIDE})|(?<=[{HAN}]))[-−](?=\d)", "负"),
    rule(
        rf"(?<![A-Za-z\d.,])(?P<number>{_NUMBER})\s?(?P<unit>{_any(_UNITS)}|μ[mgs]){_END}(?![²³/])",
        _unit,
    ),
)
"""Money, measures and ranges."""

SIGNS: Final = (
    TAGS,
    rule(
        r"(?P<base>[A-Za-z0-9)）]+)"
        r"(?:\s?\^\s?\{?(?P<e1>-?\w+?)\}?(?![A-Za-z0-9])|(?P<e2>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ]+))",
        _power,
    ),
    rule(r"(?<=\d)\s?[xX*](?=\s?\d)", "乘"),
    _between("<=", "小于等于"),
    _between(">=", "大于等于"),
    _between("!=", "不等于"),
    _between("->|=>", "到"),
    _between("[<＜]", "小于"),
    _between("[>＞]", "大于"),
    _between("[=＝]{1,2}", "等于"),
    rule(r"(?<=[\d)）])\s?\+\s?(?=[\d(（])", "加"),
    rule(r"(?<=\d) [-−] (?=\d)", "减"),
    rule(_any(_SIGNS), lambda m: _SIGNS[m.group()]),
    rule(_any(_GREEK), lambda m: _GREEK[m.group()]),
    rule(r"[₀-₉]+", lambda m: m.group().translate(_SUBSCRIPTS)),
    rule(r"(?<=\d)#|#(?=\d)", "号"),
    rule(r"[*_`~^|{}\[\]<>\\]+", " "),
)
"""Signs of mathematics, and those that are silent."""

NUMBERS: Final = (
    rule(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])", lambda m: m.group().replace(",", "")),
    rule(r"第2(?![\d.])", "第二"),
    rule(r"(?<=[A-Za-z])-(?=\d)", " "),
)
"""What the library reads otherwise: 10,000 as 十,零零零, 第2名 as 第两名, GPT-4 as GPT负四."""

BEFORE_NUMBERS: Final = (*ADDRESSES, *CODES, *AMOUNTS, *SIGNS, *NUMBERS)
"""Applied before the numbers that are left are read."""
