"""Numbers in English words.

The English transducers of WeTextProcessing read "1,000" as "thousand" and 1208 as "twelve zero
eight", so they are asked only for what they know: times, ordinals and fractions.
"""

from __future__ import annotations

import re
from typing import Final

from services.tts.reading.library import in_words
from services.tts.reading.rules import rule

_SMALL: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS: Final = (
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
_GROUPS: Final = ("", " thousand", " million", " billion", " trillion")
_MAX_COUNTED_DIGITS: Final = 15
_TELEPHONE_DIGITS: Final = 9
_YEAR: Final = r"(?:1[1-9]|20)\d{2}"
_BEFORE_YEARS: Final = (
    r"(?:in|since|from|until|till|by|of|year|before|after|around|circa|late|early|spring|summer"
    r"|autumn|fall|winter|January|February|March|April|May|June|July|August|September|October"
    r"|November|December|\d(?:st|nd|rd|th),|copyright|and|to|or|-)"
)


def cardinal(number: int) -> str:
    """Returns a number below 10**15 in words: 1208 is "one thousand two hundred eight"."""
    if number < 1000:
        return _below_thousand(number)
    parts: list[str] = []
    for group in range(len(_GROUPS) - 1, -1, -1):
        value = number // 1000**group % 1000
        if value:
            parts.append(_below_thousand(value) + _GROUPS[group])
    return " ".join(parts)


def _below_thousand(number: int) -> str:
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, one = divmod(number, 10)
        return _TENS[tens] + (f"-{_SMALL[one]}" if one else "")
    hundreds, rest = divmod(number, 100)
    return f"{_SMALL[hundreds]} hundred" + (f" {_below_thousand(rest)}" if rest else "")


def year(number: int) -> str:
    """Returns a year from 1100 to 2099 in words: 1905 is "nineteen oh five"."""
    century, rest = divmod(number, 100)
    if rest == 0:
        return cardinal(number) if number % 1000 == 0 else f"{_below_thousand(century)} hundred"
    if 2000 < number < 2010:
        return f"two thousand {_SMALL[rest]}"
    return f"{_below_thousand(century)} " + (
        f"oh {_SMALL[rest]}" if rest < 10 else _below_thousand(rest)
    )


def _later_year(first: str, second: str) -> str:
    return year(int(second)) if len(second) == 4 else _below_thousand(int(second))


def by_digit(digits: str) -> str:
    """Returns digits one by one."""
    return " ".join(_SMALL[int(digit)] for digit in digits)


def _number(match: re.Match[str]) -> str:
    whole, _, fraction = match.group().replace(",", "").partition(".")
    long = len(whole) > _MAX_COUNTED_DIGITS or (
        len(whole) >= _TELEPHONE_DIGITS and "," not in match.group() and whole[-3:] != "000"
    )
    leading_zero = len(whole) > 1 and whole[0] == "0"
    said = by_digit(whole) if long or leading_zero else cardinal(int(whole))
    return said + (f" point {by_digit(fraction)}" if fraction else "")


def decade(match: re.Match[str]) -> str | None:
    """Returns a decade, matched as `century` and `tens`, in words: "nineteen nineties"."""
    century, tens = match["century"], _TENS[int(match["tens"])]
    if not tens:
        return None
    plural = f"{tens[:-1]}ies"
    return f"{_below_thousand(int(century))} {plural}" if century else plural


def _by_library(match: re.Match[str]) -> str | None:
    return in_words(match.group(), "en")


NUMBERS: Final = (
    rule(r"(?<![\w:.])\d{1,2}:\d{2}(?:\s?[ap]m)?(?![\w:])", _by_library, re.IGNORECASE),
    rule(
        rf"(?<![\w-])(?P<a>{_YEAR})[-–](?P<b>{_YEAR}|\d{{2}})(?![\w-])",
        lambda m: f"{year(int(m['a']))} to {_later_year(m['a'], m['b'])}",
    ),
    rule(r"(?<![\w.,])\d{1,4}(?:st|nd|rd|th)(?!\w)", _by_library),
    rule(r"(?<![\w.,/])\d+(?P<said> )(?=\d{1,2}/\d{1,2}(?![\w/]))", " and "),
    rule(r"(?<![\w.,/])\d{1,2}/\d{1,3}(?![\w/]|[.,]\d)", _by_library),
    rule(
        rf"(?:\b{_BEFORE_YEARS}\s?)(?P<said>{_YEAR})(?![\w%]|[.,]\d|\s[a-z]+s\b)",
        lambda m: year(int(m["said"])),
    ),
    rule(
        r"(?<![\w.,-])(?P<year>(?:19|20)\d{2})(?![\w%]|[.,]\d|\s[a-z]+s\b|\s(?:million|billion|people))",
        lambda m: year(int(m["year"])),
    ),
    rule(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w,]|\.\d)", _number),
    rule(r"(?<![\w.,-])\d+(?:\.\d+)?(?![\w]|[.,]\d)", _number),
    rule(r"(?<=\d)-(?=\d)|(?<=[a-z])-(?=\d)", " "),
)
"""Applied last, when signs and units are words."""
