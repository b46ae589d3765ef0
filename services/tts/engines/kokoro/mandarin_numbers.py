"""Numbers in Chinese text as they are spoken: 2024年 is 二零二四年, 35% is 百分之三十五."""

from __future__ import annotations

import re
from typing import Final

_DIGITS: Final = "零一二三四五六七八九"
_PLACES: Final = ("", "十", "百", "千")
_GROUPS: Final = ("", "万", "亿")
_MAX_COUNTED_DIGITS: Final = 12
_TELEPHONE_DIGITS: Final = 9
_YEAR: Final = re.compile(r"[12]\d{3}(?=年)")

NUMBER: Final = r"\d[\d,，]*(?:\.\d+)?[%％]?"
"""Matches a number without its sign."""


def spoken(number: str, following: str) -> str:
    """Returns a number in Chinese characters.

    A year, a telephone number and a number with a leading zero are spoken digit by digit.

    Args:
        number: Matches `NUMBER`.
        following: The text behind it.
    """
    percent = number[-1] in "%％"
    whole, _, fraction = number.rstrip("%％").replace(",", "").replace("，", "").partition(".")
    if _is_by_digit(whole, following, is_whole=not fraction and not percent):
        text = _by_digit(whole)
    else:
        text = _counted(int(whole))
    if fraction:
        text += "点" + _by_digit(fraction)
    return ("百分之" if percent else "") + text


def _is_by_digit(digits: str, following: str, *, is_whole: bool) -> bool:
    if len(digits) > _MAX_COUNTED_DIGITS or (digits[0] == "0" and len(digits) > 1):
        return True
    if not is_whole:
        return False
    long = len(digits) >= _TELEPHONE_DIGITS and not digits.endswith("000")
    return long or _YEAR.match(digits + following) is not None


def _by_digit(digits: str) -> str:
    return "".join(_DIGITS[int(digit)] for digit in digits)


def _counted(number: int) -> str:
    if number == 0:
        return _DIGITS[0]
    groups: list[int] = []
    while number:
        number, group = divmod(number, 10_000)
        groups.append(group)
    text = ""
    for place in range(len(groups) - 1, -1, -1):
        group = groups[place]
        if group:
            # 10,005 is 一万零五, and 100,001,000 is 一亿零一千
            skipped = text and (group < 1_000 or groups[place + 1] == 0)
            text += (_DIGITS[0] if skipped else "") + _group(group) + _GROUPS[place]
    return text.removeprefix("一") if text.startswith("一十") else text


def _group(number: int) -> str:
    text, gap = "", False
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if digit:
            text += (_DIGITS[0] if gap and text else "") + _DIGITS[digit] + _PLACES[place]
            gap = False
        else:
            gap = True
    return text
