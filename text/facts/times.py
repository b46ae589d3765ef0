"""Turns relative times into dates: "tomorrow at 3" said on 29 November is "on 30 November at 3"."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

from text.languages import has_chinese

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS: Final = (
    *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    *("Saturday", "Sunday"),
)
_COUNTS: Final = {
    word: number
    for words in (
        "zero a two three four five six seven eight nine ten eleven twelve",
        "零 一 二 三 四 五 六 七 八 九 十",
    )
    for number, word in enumerate(words.split())
} | {"an": 1, "one": 1, "a couple of": 2, "两": 2}
_COUNT: Final = r"(?P<n>\d{1,3}|a couple of|an?|one|two|three|four|five|six|seven|eight|nine|ten)"
_WEEKDAY: Final = rf"(?P<d>{'|'.join(_DAYS)})"
_WEEKDAYS_CHINESE: Final = {name: number for number, name in enumerate("一二三四五六日")} | {
    "天": 6
}
_COUNT_CHINESE: Final = r"(?P<n>\d{1,3}|[一两二三四五六七八九十])"

_Write = Callable[[date, date], str]
_Read = Callable[[re.Match[str], date], tuple[date, str]]


def dated(text: str, *, said: date, today: date) -> str:
    """Replaces relative times in a text by dates.

    Args:
        text: The words of a person, in English or Chinese.
        said: The day on which they were said.
        today: The day on which they are told again; "today" is kept if it still is.

    Returns:
        The text; a year is named only if it is not the present one.
    """
    rules = _CHINESE if has_chinese(text) else _ENGLISH
    for pattern, read in rules:

        def write(match: re.Match[str], read: _Read = read) -> str:
            when, unit = read(match, said)
            if unit == "day" and when == said == today:
                return match.group()
            return _written(when, unit, today, chinese=rules is _CHINESE)

        text = pattern.sub(write, text)
    return text


def _written(when: date, unit: str, today: date, *, chinese: bool) -> str:
    same_year = when.year == today.year
    if unit == "year":
        return f"{when.year}年" if chinese else f"in {when.year}"
    if unit == "month":
        if chinese:
            return f"{'' if same_year else f'{when.year}年'}{when.month}月"
        return f"in {_MONTHS[when.month - 1]}{'' if same_year else f' {when.year}'}"
    if chinese:
        shown = f"{'' if same_year else f'{when.year}年'}{when.month}月{when.day}日"
        return f"{shown}那周" if unit == "week" else shown
    shown = f"{when.day} {_MONTHS[when.month - 1]}{'' if same_year else f' {when.year}'}"
    return f"in the week of {shown}" if unit == "week" else f"on {shown}"


def _days(count: int) -> _Read:
    return lambda match, said: (said + timedelta(days=count), "day")


def _number(match: re.Match[str]) -> int:
    said = match["n"].lower()
    return int(said) if said.isdigit() else _COUNTS[said]


def _months_from(said: date, count: int) -> date:
    total = said.year * 12 + said.month - 1 + count
    return date(min(max(total // 12, 1), 9999), total % 12 + 1, 1)


def _moved(said: date, count: int, unit: str) -> tuple[date, str]:
    if unit == "day":
        return said + timedelta(days=count), "day"
    if unit == "week":
        # Two weeks ago is a day; "last week" is not.
        return said + timedelta(weeks=count), "day"
    if unit == "month":
        return _months_from(said, count), "month"
    return date(min(max(said.year + count, 1), 9999), 1, 1), "year"


def _counted(sign: int, units: dict[str, str]) -> _Read:
    return lambda match, said: _moved(said, sign * _number(match), units[match["u"].lower()])


def _monday(said: date, weeks: int) -> date:
    return said - timedelta(days=said.weekday()) + timedelta(weeks=weeks)


def _whole(count: int, units: dict[str, str]) -> _Read:
    def read(match: re.Match[str], said: date) -> tuple[date, str]:
        unit = units[match["u"].lower()]
        if unit == "week":
            return _monday(said, count), "week"
        return _moved(said, count, unit)

    return read


def _coming(match: re.Match[str], said: date) -> tuple[date, str]:
    ahead = (_DAYS.index(match["d"].capitalize()) - said.weekday()) % 7 or 7
    return said + timedelta(days=ahead), "day"


def _next(match: re.Match[str], said: date) -> tuple[date, str]:
    """Returns the day of next week: on a Monday "next Friday" is in eleven days."""
    return _monday(said, 1) + timedelta(days=_DAYS.index(match["d"].capitalize())), "day"


def _last(match: re.Match[str], said: date) -> tuple[date, str]:
    behind = (said.weekday() - _DAYS.index(match["d"].capitalize())) % 7 or 7
    return said - timedelta(days=behind), "day"


def _of_week(weeks: int) -> _Read:
    return lambda match, said: (
        _monday(said, weeks) + timedelta(days=_WEEKDAYS_CHINESE[match["d"]]),
        "day",
    )


_UNITS: Final = {
    f"{unit}{end}": unit for unit in ("day", "week", "month", "year") for end in ("", "s")
}
_UNIT: Final = r"(?P<u>days?|weeks?|months?|years?)"
_UNITS_CHINESE: Final = {
    "天": "day",
    "日": "day",
    "周": "week",
    "个星期": "week",
    "个礼拜": "week",
    "个月": "month",
    "年": "year",
}
_UNIT_CHINESE: Final = r"(?P<u>天|日|周|个星期|个礼拜|个月|年)"


def _rules(*rules: tuple[str, _Read]) -> tuple[tuple[re.Pattern[str], _Read], ...]:
    return tuple((re.compile(pattern, re.IGNORECASE), read) for pattern, read in rules)


_ENGLISH: Final = _rules(
    (r"\bthe day before yesterday\b", _days(-2)),
    (r"\bthe day after tomorrow\b", _days(2)),
    (r"\byesterday\b", _days(-1)),
    (r"\btomorrow\b", _days(1)),
    (r"\btoday\b", _days(0)),
    (rf"\b{_COUNT} {_UNIT} ago\b", _counted(-1, _UNITS)),
    (rf"\bin {_COUNT} {_UNIT}(?:'?s?'? time)?\b(?! old)", _counted(1, _UNITS)),
    (rf"\b(?:on )?last {_WEEKDAY}\b", _last),
    (rf"\b(?:on )?next {_WEEKDAY}\b", _next),
    (rf"\b(?:on |this ){_WEEKDAY}\b(?!s)", _coming),
    (r"\blast (?P<u>week|month|year)\b", _whole(-1, _UNITS)),
    (r"\bnext (?P<u>week|month|year)\b", _whole(1, _UNITS)),
)
_CHINESE: Final = _rules(
    ("大前天", _days(-3)),
    ("前天", _days(-2)),
    ("昨[天日]", _days(-1)),
    ("大后天", _days(3)),
    ("后天", _days(2)),
    ("明[天日]", _days(1)),
    ("今[天日]", _days(0)),
    (r"前年", lambda match, said: _moved(said, -2, "year")),
    (r"去年", lambda match, said: _moved(said, -1, "year")),
    (r"明年", lambda match, said: _moved(said, 1, "year")),
    (rf"{_COUNT_CHINESE}{_UNIT_CHINESE}(?:之|以)?前", _counted(-1, _UNITS_CHINESE)),
    (rf"{_COUNT_CHINESE}{_UNIT_CHINESE}(?:之|以)?后", _counted(1, _UNITS_CHINESE)),
    (r"上个?(?:周|星期|礼拜)(?P<d>[一二三四五六日天])", _of_week(-1)),
    (r"下个?(?:周|星期|礼拜)(?P<d>[一二三四五六日天])", _of_week(1)),
    (r"(?:这个?|本)(?:周|星期|礼拜)(?P<d>[一二三四五六日天])", _of_week(0)),
    (r"上(?P<u>个月)", _whole(-1, _UNITS_CHINESE)),
    (r"下(?P<u>个月)", _whole(1, _UNITS_CHINESE)),
    (r"上(?P<u>个星期|周)", _whole(-1, _UNITS_CHINESE)),
    (r"下(?P<u>个星期|周)", _whole(1, _UNITS_CHINESE)),
)
