"""Computes small sums: "What is 12 times 12?", "9除以2是多少？"."""

from __future__ import annotations

import re
from decimal import Decimal, localcontext
from typing import Final

_WORDS: Final = {
    "plus": "+", "and": "+", "minus": "-", "times": "*", "multiplied by": "*", "divided by": "/",
    "over": "/", "加上": "+", "加": "+", "减去": "-", "减": "-", "乘以": "*", "乘": "*",
    "除以": "/", "×": "*", "x": "*", "÷": "/", "−": "-", "–": "-", ":": "/",
    "percent of": "% of", "per cent of": "% of",
}  # fmt: skip
_NUMBERS: Final = {
    word: str(number)
    for words in (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
        " fifteen sixteen seventeen eighteen nineteen twenty",
        "零 一 二 三 四 五 六 七 八 九 十",
    )
    for number, word in enumerate(words.split())
} | {"两": "2", "thirty": "30", "forty": "40", "fifty": "50", "a hundred": "100", "hundred": "100"}
_ASKED: Final = re.compile(
    r"(?:what(?: is|'s)|how much (?:is|does)|calculate|compute|请问|计算)?\s*"
    r"(?P<sum>[^a-z?？]+?)\s*"
    r"(?:make|equal|equals|等于|是|得)?\s*(?:多少|几)?\s*[=?？.。]*",
)
_NUMBER: Final = r"\d{1,12}(?:\.\d{1,6})?"
_SUM: Final = re.compile(rf"-?\s*{_NUMBER}(?:\s*[-+*/]\s*-?{_NUMBER}){{1,6}}")
_SHARE: Final = re.compile(rf"(?P<part>{_NUMBER})\s*% of (?P<whole>{_NUMBER})")
_SHARE_CHINESE: Final = re.compile(
    rf"(?P<whole>{_NUMBER})的(?:百分之(?P<part>{_NUMBER})|(?P<share>{_NUMBER})%)"
)
_DATE: Final = re.compile(r"\d{1,4}([-/])\d{1,2}\1\d{1,4}")
_TERM: Final = re.compile(rf"([-+*/]?)\s*(-?{_NUMBER})")
_PLACES: Final = Decimal("0.0001")


class DividedByZeroError(ArithmeticError):
    """The sum divides by zero."""


def result_of(text: str) -> str | None:
    """Returns the result of the sum that a question asks for; None if it asks for none.

    Raises:
        DividedByZeroError: It has none.
    """
    said = " ".join(text.lower().replace(",", "").split())
    if _DATE.search(said):
        return None
    for words, numbers in ((_NUMBERS, True), (_WORDS, False)):
        for word, sign in words.items():
            edge = r"\b" if word.isascii() and word.isalpha() else ""
            if numbers and not word.isascii():
                said = re.sub(
                    rf"{word}(?=[加减乘除]|等于|是|得|$)|(?<=[加减乘以去上]){word}", sign, said
                )
            else:
                said = re.sub(
                    rf"{edge}{re.escape(word)}{edge}", sign if numbers else f" {sign} ", said
                )
    said = " ".join(said.split())
    if (share := _SHARE.search(said) or _SHARE_CHINESE.search(said)) is not None:
        part = share["part"] or share["share"]
        return _shown(Decimal(part) * Decimal(share["whole"]) / 100)
    if (asked := _ASKED.fullmatch(said)) is None or not _SUM.fullmatch(asked["sum"].strip()):
        return None
    return _shown(_value(asked["sum"].strip()))


def _value(sum_text: str) -> Decimal:
    """Computes a sum with the usual precedence."""
    first, *rest = _TERM.findall(re.sub(r"^-\s*", "-", sum_text).replace("- -", "+ "))
    start = Decimal(f"{first[0] if first[0] == '-' else ''}{first[1]}")
    terms = [start]
    for sign, number in rest:
        value = Decimal(number)
        match sign:
            case "*":
                terms[-1] *= value
            case "/":
                if not value:
                    raise DividedByZeroError
                with localcontext() as context:
                    context.prec = 28
                    terms[-1] /= value
            case "-":
                terms.append(-value)
            case _:
                terms.append(value)
    return sum(terms, Decimal(0))


def _shown(value: Decimal) -> str:
    if value != value.to_integral_value():
        value = value.quantize(_PLACES) if value.adjusted() < 20 else value
    shown = f"{value:f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
