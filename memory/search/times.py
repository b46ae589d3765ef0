"""The times that a question names, and how well the time of an item matches them.

A question with a month or a year ("in May 2023", "2023年5月") is answered by what was said then, or
soon after. Days are ignored: people tell of a day weeks later too.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
# Abbreviations count next to a number only, and so do names of months that are words as well,
# unless a word before them leads to a time.
_SHORT: Final = {name[:3]: number for number, name in enumerate(_MONTHS, 1)} | {"sept": 9}
_NUMBER_OF: Final = _SHORT | {name: number for number, name in enumerate(_MONTHS, 1)}
_WORDS_TOO: Final = frozenset({"may", "march"})
_LEADS: Final = (
    "in|on|during|around|since|by|before|after|of|from|for|until|till|early|late|mid|end|beginning"
)
_NAMES: Final = "|".join(sorted(_NUMBER_OF, key=len, reverse=True))
_DAY: Final = r"\d{1,2}(?!\d)(?:st|nd|rd|th)?"
_ENGLISH: Final = re.compile(
    rf"(?:\b(?P<day>{_DAY})(?:\s+of)?,?\s+|\b(?P<lead>{_LEADS})[\s-]+)?"
    rf"\b(?P<month>{_NAMES})\b\.?"
    rf"(?P<day_after>\s+{_DAY})?"
    r"(?:,?\s+(?:in\s+|of\s+)?(?P<year>20\d\d)\b)?",
    re.IGNORECASE,
)
_CHINESE_NUMBERS: Final = (
    "一",
    "二",
    "三",
    "四",
    "五",
    "六",
    "七",
    "八",
    "九",
    "十",
    "十一",
    "十二",
)
_CHINESE: Final = re.compile(
    r"(?:(?P<year>20\d\d)\s*年\s*)?"
    rf"(?P<month>1[0-2]|0?[1-9]|{'|'.join(sorted(_CHINESE_NUMBERS, key=len, reverse=True))})\s*月"
)
_YEAR: Final = re.compile(r"(?<![\d.,:/-])20\d\d(?![\d.,:/-]*\d)(?!\s*(?:%|percent|元|块|个|人))")

# How well an item of the month after the named one matches, to its middle and later: people often
# tell of recent events.
_SOON_AFTER: Final = 0.3
_LATER: Final = 0.15
_MIDDLE_DAY: Final = 15
# An item's month is that of the person's own calendar, whose time zone is unknown here.
_WEST_MS: Final = 12 * 3_600_000
_EAST_MS: Final = 14 * 3_600_000


@dataclass(frozen=True, slots=True)
class Period:
    """A month, a year, or a month of one year; None where the question leaves it open."""

    year: int | None
    month: int | None


def periods_in(question: str) -> frozenset[Period]:
    """Returns the months and years that a question names."""
    found: set[Period] = set()
    rest = question
    for pattern in (_ENGLISH, _CHINESE):
        for match in pattern.finditer(question):
            month = _month_of(match)
            if month:
                year = match["year"]
                found.add(Period(int(year) if year else None, month))
                rest = rest.replace(match[0], " ")
    return frozenset(found | {Period(int(year), None) for year in _YEAR.findall(rest)})


def _month_of(match: re.Match[str]) -> int:
    """Returns the number of the month that a match names; 0 if it names none."""
    name, groups = match["month"].lower(), match.groupdict()
    if name.isdigit():
        return int(name)
    if name in _CHINESE_NUMBERS:
        return _CHINESE_NUMBERS.index(name) + 1
    by_number = any(groups[part] for part in ("day", "day_after", "year"))
    is_certain = name in _MONTHS and (name not in _WORDS_TOO or groups["lead"])
    return _NUMBER_OF[name] if by_number or is_certain else 0


class Months:
    """The months in which items were said. Immutable."""

    def __init__(self, created_unix_ms: Sequence[int] | NDArray[np.int64]) -> None:
        """Takes the time of each item, Unix ms; 0 or less is unknown."""
        times = np.array(created_unix_ms, dtype=np.int64)
        self._known = times > 0
        self._west, self._east = _month(times - _WEST_MS), _month(times + _EAST_MS)
        instants = times.astype("datetime64[ms]")
        days = (instants.astype("datetime64[D]") - instants.astype("datetime64[M]")).astype(int)
        self._is_early = days < _MIDDLE_DAY

    def matches(self, periods: frozenset[Period]) -> NDArray[np.float32]:
        """Returns how well each item matches the best of the periods, 0 to 1, shape [items]."""
        best = np.zeros(len(self._known), dtype=np.float32)
        for period in periods:
            after = np.where(self._is_early, _SOON_AFTER, _LATER)
            match = np.where(self._in(period, 0), 1.0, np.where(self._in(period, 1), after, 0.0))
            best = np.maximum(best, np.where(self._known, match, 0).astype(np.float32))
        return best

    def _in(self, period: Period, months_later: int) -> NDArray[np.bool_]:
        """Returns which items may be of a period, or of the month so many months after it."""
        if period.month is None:
            year = 12 * ((period.year or 0) - 1970)
            in_year = (self._west < year + 12) & (year <= self._east)
            return in_year & (months_later == 0)
        number = period.month - 1 + months_later
        if period.year is None:
            west: NDArray[np.bool_] = self._west % 12 == number % 12
            east: NDArray[np.bool_] = self._east % 12 == number % 12
            return west | east
        wanted = 12 * (period.year - 1970) + number
        return (self._west <= wanted) & (wanted <= self._east)


def _month(unix_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the number of months from January 1970 to each time."""
    return unix_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
