"""How signs, units and names are said in English, where neither library nor voices know it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.resources import files
from typing import Final

from services.tts.reading.english_numbers import decade, year
from services.tts.reading.rules import TAGS, Rule, rule

_DATA: Final = tomllib.loads(
    (files("services.tts.reading") / "english.toml").read_text(encoding="utf-8")
)
_UNITS: Final[dict[str, list[str]]] = _DATA["units"]
_MONEY: Final[dict[str, list[str]]] = _DATA["money"]
_SCALES: Final[dict[str, str]] = _DATA["scales"]
_NAMES: Final = _DATA["names"]
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_NUMBER: Final = r"\d+(?:,\d{3})*(?:\.\d+)?"


def _any(texts: Iterable[str]) -> str:
    return "|".join(re.escape(each) for each in sorted(texts, key=len, reverse=True))


_SPELLED: Final = {
    ".": " dot ", "/": " slash ", "\\": " backslash ", ":": " colon ", "_": " underscore ",
    "-": " dash ", "@": " at ", "+": " plus ", "~": " tilde ", "?": " question mark ",
    "=": " equals ", "&": " and ", "#": " hash ", "%": " percent ",
}  # fmt: skip


def _spelled(text: str) -> str:
    """Returns a name with its signs in words: `a.b/c` is "a dot b slash c"."""
    return " ".join("".join(_SPELLED.get(char, char) for char in text).split())


def _host(match: re.Match[str]) -> str:
    return _spelled(match["host"]) + (f" port {match['port']}" if match["port"] else "")


def _ip(match: re.Match[str]) -> str:
    port = f" port {match['port']}" if match["port"] else ""
    return match["ip"].replace(".", " dot ") + port


def _version(match: re.Match[str]) -> str:
    numbers: str = match["numbers"] or match["n3"]
    return ("version " if match["v"] else "") + numbers.replace(".", " point ")


def _date(written_year: str, month: str, day: str) -> str | None:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    return f"{_MONTHS[int(month) - 1]} {_ordinal(int(day))}" + f", {_year(written_year)}"


def _year(written: str) -> str:
    return year(int(written)) if 1100 <= int(written) < 2100 else written


def _iso_date(match: re.Match[str]) -> str | None:
    return _date(match["y"], match["m"], match["d"])


def _slash_date(match: re.Match[str]) -> str | None:
    first, second = match["a"], match["b"]
    if int(first) > 12:
        first, second = second, first
    written_year = match["y"] if len(match["y"]) == 4 else f"20{match['y']}"
    return _date(written_year, first, second)


def _ordinal(number: int) -> str:
    ending = "th" if number // 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _telephone(match: re.Match[str]) -> str:
    groups = re.findall(r"\+|\d+", match.group())
    said = ["plus" if group == "+" else " ".join(group) for group in groups]
    return ", ".join(said).replace("plus, ", "plus ")


def _plain(number: str) -> str:
    """Returns a number in English digits: `1.299,00` is 1299.00, `1,500` is 1500."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})*,\d{1,2}", number):
        return number.replace(".", "").replace(",", ".")
    return number.replace(",", "")


def _money(match: re.Match[str]) -> str | None:
    names = _MONEY[match["sign"]]
    signs = match.groupdict()
    minus = "minus " if signs["minus"] or signs.get("minus2") else ""
    number = _plain(match["number"])
    whole, _, fraction = number.partition(".")
    per = f" per {match['per']}" if match["per"] else ""
    scale = match["scale"] or ""
    if scale:
        return f"{minus}{number} {_SCALES.get(scale, scale)} {names[1]}{per}"
    one_many = names[0] if int(whole) == 1 else names[1]
    if not fraction or not int(fraction):
        return f"{minus}{whole} {one_many}{per}"
    if len(fraction) != 2 or not names[2]:
        return f"{minus}{number} {names[1]}{per}"
    cents = f"{int(fraction)} {names[2] if int(fraction) == 1 else names[3]}"
    return (
        f"{minus}{cents}{per}" if not int(whole) else f"{minus}{whole} {one_many} and {cents}{per}"
    )


def _unit(match: re.Match[str]) -> str | None:
    unit = match["unit"].replace("℃", "°C").replace("℉", "°F").replace("μ", "µ")
    names = _UNITS.get(unit)
    if names is None:
        return None
    return f"{match['number']} {names[0] if match['number'] == '1' else names[1]}"


def _feet(match: re.Match[str]) -> str:
    inches = f" {match['inches']}" if match["inches"] else ""
    return f"{match['feet']} {'foot' if inches or match['feet'] == '1' else 'feet'}{inches}"


def _inch(match: re.Match[str]) -> str | None:
    closes_a_quotation = match.string.count('"', 0, match.end() - 1) % 2 == 1
    return None if closes_a_quotation else f"{match['n']} inch"


def _power(match: re.Match[str]) -> str:
    exponent = (match["e1"] or match["e2"]).translate(_SUPERSCRIPTS)
    if exponent in ("2", "3"):
        return f"{match['base']} {'squared' if exponent == '2' else 'cubed'}"
    minus = "minus " if exponent[0] in "-−" else ""
    bare = exponent.lstrip("-−")
    said = _ordinal(int(bare)) if bare.isdigit() and not minus else minus + bare
    return f"{match['base']} to the {said}" + ("" if bare.isdigit() and not minus else " power")


_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ", "0123456789-n")
_SUBSCRIPTS: Final = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_PER: Final = "second|minute|hour|day|night|week|month|year|person|user|piece|unit|kg|km|mile"
_HOSTS: Final = _any(_NAMES["hosts"].split())
_FILES: Final = _any(_NAMES["files"].split())
_LABEL: Final = r"[A-Za-z0-9_](?:[\w-]*\w)?"
_COUNTED: Final = "(?:people|seconds|minutes|hours|days|weeks|months|years|times|percent)"
_SYMBOLS: Final = _any(sign for sign in _MONEY if not sign.isalpha())
_AMOUNT: Final = r"\d[\d,.]*\d|\d"
_SCALE: Final = rf"thousand|million|billion|trillion|{_any(_SCALES)}"
_FORMULAS: Final = _any(_NAMES["chemistry"].split())
_TERM: Final = r"[\w)\]]"


def _spaced(match: re.Match[str]) -> str:
    return " ".join(match.group().translate(_SUBSCRIPTS))


def _in_words(table: dict[str, str]) -> Rule:
    return rule(_any(table), lambda match: f" {table[match.group()]} ")


ADDRESSES: Final = (
    rule(
        r"(?:https?://|www\.)(?:www\.)?(?P<host>[\w.-]*\w)(?::(?P<port>\d+))?"
        r"(?:[/?#](?:[^\s<>\"'，。！？、；：）]*[\w/=&-])?)?",
        _host,
        re.IGNORECASE | re.ASCII,
    ),
    rule(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}", lambda m: _spelled(m.group()), re.ASCII),
    rule(r"(?<![\w.])(?P<ip>\d{1,3}(?:\.\d{1,3}){3})(?::(?P<port>\d{2,5}))?(?![\w]|\.\d)", _ip),
    rule(
        r"(?:(?<=[Vv]ersion )|(?<=Python )|(?<=Node )|(?<=Ubuntu )|(?<![\w.])(?P<v>[vV]))"
        r"(?P<numbers>\d+\.\d+(?:\.\d+)*)(?![\w]|\.\d)|(?<![\w.,])(?P<n3>\d+(?:\.\d+){2,})(?![\w]|\.\d)",
        _version,
    ),
    rule(
        r"(?<![\w:])[A-Za-z]:\\[\w .\\-]*\w|(?<![\w.])(?:\.{1,2}|~)?(?:/[\w.-]+){2,}/?"
        r"|(?<![\w./])\.{1,2}/[\w./-]*\w",
        lambda m: _spelled(m.group()),
        re.ASCII,
    ),
    rule(
        rf"(?<![\w@.])(?:{_LABEL}\.)+(?:{_HOSTS}|{_FILES})(?:/[\w./%-]*\w)?(?![\w]|\.\w)",
        lambda m: _spelled(m.group()),
        re.ASCII,
    ),
    rule(rf"(?<![\w.])\.(?P<file>{_FILES})(?![\w.]\w)", r"dot \g<file>", re.ASCII),
    rule(r"(?<![\w.])\.(?=\d)", "0."),
)
"""Addresses, versions and paths: every sign is spoken."""

AMOUNTS: Final = (
    rule(r"(?<!\w)['’]?(?P<century>1[1-9]|20|)(?P<tens>\d)0s(?!\w)", decade),
    _in_words({k: v for k, v in _DATA["words"].items() if k != "Mt."}),
    rule(r"\bMt\.(?= [A-Z])", "Mount"),
    rule(
        rf"(?P<minus>[-−])?(?P<sign>{_SYMBOLS})\s?(?P<minus2>[-−])?"
        rf"(?P<number>{_AMOUNT})(?:\s?(?P<scale>{_SCALE})(?!\w))?(?:/(?P<per>{_PER})(?!\w))?(?!\w)",
        _money,
    ),
    rule(
        rf"(?P<minus>(?<!\w)[-−])?(?P<number>{_AMOUNT})\s?(?:(?P<scale>{_SCALE})\s)?"
        rf"(?P<sign>{_any(_MONEY)})(?:/(?P<per>{_PER})(?!\w))?(?!\w)",
        _money,
    ),
    rule(
        r"(?P<number>\d+)\s?¢",
        lambda m: f"{m['number']} {'cent' if m['number'] == '1' else 'cents'}",
    ),
    rule(r"(?<![\w'])(?P<feet>\d+)['′]\s?(?P<inches>\d{1,2})[\"″”]", _feet),
    rule(r"(?<![\w'])(?P<feet>\d+)['′](?P<inches>)(?=[\s.,;)]|$)", _feet),
    rule(r"(?<![\w\"])(?P<n>\d+(?:\.\d+)?)(?:\"(?=\s+[a-z])|″)", _inch),
    rule(
        rf"(?<![\w.,])(?P<the>[Tt]he )?(?P<d>[1-9]|[12]\d|3[01]) (?P<m>{'|'.join(_MONTHS)})\b",
        lambda m: f"{m['the'] or 'the '}{_ordinal(int(m['d']))} of {m['m']}",
    ),
    rule(
        rf"\b(?P<m>{'|'.join(_MONTHS)}) (?P<d>[1-9]|[12]\d|3[01])(?![\w:]|[.,]\d|\s?[ap]\.?m)",
        lambda m: f"{m['m']} {_ordinal(int(m['d']))}",
    ),
    rule(r"(?<![\w/])(?P<y>\d{4})[-/](?P<m>\d{1,2})[-/](?P<d>\d{1,2})(?![\w/-])", _iso_date),
    rule(r"(?<![\w/])(?P<a>\d{1,2})/(?P<b>\d{1,2})/(?P<y>\d{4}|\d{2})(?![\w/])", _slash_date),
    rule(
        r"\+\d{1,3}[ -]?(?:\(\d{1,4}\)[ -]?)?\d{2,4}(?:[ -]?\d{2,4}){1,4}(?!\d)"
        r"|(?<![\w.,-])\(\d{3}\) ?\d{3}-\d{4}(?!\d)|(?<![\w.,-])\d{3}-\d{3}-\d{4}(?!\d)"
        r"|(?<![\w.,-])\d{3}-\d{4}(?![\d-])|(?<![\w.,])0\d{2,4}(?:[ -]\d{2,4}){1,3}(?!\d)",
        _telephone,
    ),
    rule(rf"(?<![\w.,]){_NUMBER}(?:%|°[CF]?)?(?P<said>\s?[–—~～]\s?)(?=\d)", " to "),
    rule(
        rf"(?<![\w.,-]){_NUMBER}(?P<said>-)(?={_NUMBER}(?:\s{_COUNTED}|\s?(?:{_any(_UNITS)})(?!\w)))",
        " to ",
    ),
    rule(r"(?<!\w)[~～](?=\d)", "about "),
    rule(
        rf"(?<![\w.,])(?P<number>{_NUMBER})\s?(?P<unit>{_any(_UNITS)}|[℃℉]|μ[mgs])(?![\w²³/]|\.\w)",
        _unit,
    ),
    rule(r"(?<![\w.])(?P<n>\d+(?:\.\d+)?)[x×](?=\s+[a-z])", r"\g<n> times"),
    rule(r"(?<![\w.])\d+(?P<said>x)(?=\d)", " by "),
    rule(r"(?<![\w.])\d{3,}(?P<said>×)(?=\d{3})", " by "),
    rule(
        rf"\b(?:{_FORMULAS})\b|\b(?:[A-Z][a-z]?[₀-₉]*)*[A-Z][a-z]?[₀-₉]+(?:[A-Z][a-z]?[₀-₉]*)*",
        _spaced,
    ),
)
"""Money, measures, dates and telephone numbers."""

SIGNS: Final = (
    TAGS,
    rule(
        r"(?P<base>\b\w+|\))(?:\s?\^\s?\{?(?P<e1>[-−]?\w+)\}?|(?P<e2>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ]+))",
        _power,
    ),
    rule(r"(?<=[\w)\]])\s?(?:<=|≤)\s?(?=[\w(-])", " less than or equal to "),
    rule(r"(?<=[\w)\]])\s?(?:>=|≥)\s?(?=[\w(-])", " greater than or equal to "),
    rule(r"(?<=[\w)\]]) ?<[ ]?(?=[\w(-])", " less than "),
    rule(r"(?<=[\w)\]]) ?(?<!-)>[ ]?(?=[\w(-])", " greater than "),
    rule(r"\s?(?:->|-->|=>)\s?", " to "),
    rule(r"(?<=[\w)\]])\s?(?:!=)\s?(?=[\w(-])", " not equal to "),
    rule(r"(?<=[\w)\]])\s?={1,2}\s?(?=[\w(-])", " equals "),
    rule(r"(?<=\d)\s?\*\s?(?=\d)", " times "),
    rule(r"(?<=\d) ?\+ ?(?=\d)", " plus "),
    rule(r"(?<=\d) [-−] (?=\d)", " minus "),
    rule(r"(?<=\d) / (?=\d)", " divided by "),
    rule(r"(?<![\w.,)])[-−](?=\d)", "minus "),
    rule(r"(?<!\w)\+(?=\d)", "plus "),
    rule(r"(?<!\w)#(?=\d)", "number "),
    rule(r"(?<=\w)#(?!\w)", " sharp"),
    _in_words(_DATA["signs"]),
    rule(rf"(?<!\w)(?:{_any(_DATA['greek'])})(?!\w)", lambda m: _DATA["greek"][m.group()]),
    rule(r"[₀-₉]+", lambda m: f" {m.group().translate(_SUBSCRIPTS)}"),
    rule(r"(?<=\w)_(?=\w)", " "),
    rule(r"[*_`~^|{}\[\]<>\\]+", " "),
)
"""Signs of mathematics, and those that are silent."""
