"""Spells out units, amounts of money and ranges in a text that arrives in pieces."""

from __future__ import annotations

import re
from typing import Final

from text.languages import is_chinese_tag, primary

_UNITS_EN: Final = {
    "km/h": ("kilometre per hour", "kilometres per hour"),
    "m/s": ("metre per second", "metres per second"),
    "km": ("kilometre", "kilometres"),
    "cm": ("centimetre", "centimetres"),
    "mm": ("millimetre", "millimetres"),
    "m": ("metre", "metres"),
    "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"),
    "g": ("gram", "grams"),
    "ml": ("millilitre", "millilitres"),
    "l": ("litre", "litres"),
    "ms": ("millisecond", "milliseconds"),
    "s": ("second", "seconds"),
    "min": ("minute", "minutes"),
    "h": ("hour", "hours"),
    "Hz": ("hertz", "hertz"),
    "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"),
    "kB": ("kilobyte", "kilobytes"),
    "KB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"),
    "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"),
    "W": ("watt", "watts"),
    "kW": ("kilowatt", "kilowatts"),
    "kWh": ("kilowatt hour", "kilowatt hours"),
    "m²": ("square metre", "square metres"),
    "km²": ("square kilometre", "square kilometres"),
    "m³": ("cubic metre", "cubic metres"),
    "mph": ("mile per hour", "miles per hour"),
    "ft": ("foot", "feet"),
    "lb": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "fps": ("frame per second", "frames per second"),
    "Mbps": ("megabit per second", "megabits per second"),
    "V": ("volt", "volts"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
    "%": ("percent", "percent"),
}
_UNITS_ZH: Final = {
    "km/h": "公里每小时",
    "m/s": "米每秒",
    "km": "公里",
    "cm": "厘米",
    "mm": "毫米",
    "m": "米",
    "kg": "公斤",
    "mg": "毫克",
    "g": "克",
    "ml": "毫升",
    "l": "升",
    "ms": "毫秒",
    "s": "秒",
    "min": "分钟",
    "h": "小时",
    "Hz": "赫兹",
    "kHz": "千赫",
    "MHz": "兆赫",
    "GHz": "吉赫",
    "kB": "KB",
    "KB": "KB",
    "MB": "MB",
    "GB": "GB",
    "TB": "TB",
    "W": "瓦",
    "kW": "千瓦",
    "kWh": "度",
    "m²": "平方米",
    "km²": "平方公里",
    "m³": "立方米",
    "fps": "帧每秒",
    "Mbps": "兆比特每秒",
    "V": "伏",
    "°C": "摄氏度",
    "°F": "华氏度",
    "°": "度",
}
_MONEY_EN: Final = {
    "$": ("dollar", "dollars"),
    "€": ("euro", "euros"),
    "£": ("pound", "pounds"),
    "¥": ("yuan", "yuan"),
    "￥": ("yuan", "yuan"),
}
_MONEY_ZH: Final = {"$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "￥": "元"}
_SCALES: Final = ("thousand", "million", "billion", "trillion")
_NUMBER: Final = r"\d+(?:[,.]\d+)*"
_CHUNK: Final = re.compile(
    rf"(?P<money>[$€£¥￥])(?P<amount>{_NUMBER})(?:\ (?P<scale>{'|'.join(_SCALES)}))?"
    r"元?(?![A-Za-z0-9_])"
    rf"|(?P<low>{_NUMBER})\ ?[–—~～]\ ?(?=\d)"
    rf"|(?P<number>{_NUMBER})(?P<gap>\ ?)(?P<unit>[A-Za-z°²³%℃℉/]+)(?![A-Za-z0-9_])"
    rf"|(?P<about>[~～])(?=\d)|(?P<plain>{_NUMBER})"
)
# Text that may still become one of the above is held until the next character decides.
_OPEN: Final = re.compile(
    rf"(?:[$€£¥￥~～]|[$€£¥￥]?{_NUMBER}[,.]?(?:\ ?[A-Za-z°²³%℃℉/]{{0,8}}|\ ?[–—~～]\ ?)|"
    rf"[$€£¥￥]{_NUMBER}\ [a-z]{{0,8}})$"
)
# Text in which nothing starts that has to be spelled out.
_PLAIN: Final = re.compile(r"[^\d$€£¥￥~～]+")
_SAME_UNIT: Final = {"℃": "°C", "℉": "°F"}


class SpokenUnits:
    """Spells out units, money and ranges; digits are unchanged because voices can read them."""

    def __init__(self, language: str) -> None:
        self._chinese = is_chinese_tag(language)
        self._spells = self._chinese or primary(language) == "en"
        self._held = ""
        self._in_word = False

    def feed(self, text: str) -> str:
        """Takes more text; returns the part that can be spoken now."""
        if not self._spells:
            return text
        # Read one character at a time, so that piece boundaries make no difference.
        said, at = [], 0
        while at < len(text):
            if not self._held and (plain := _PLAIN.match(text, at)):
                said.append(plain[0])
                at = plain.end()
                self._in_word = text[at - 1].isascii() and text[at - 1].isalnum()
            else:
                said.append(self._read(text[at]))
                at += 1
        return "".join(said)

    def finish(self) -> str:
        """Returns the text that was held back."""
        held, self._held = self._held, ""
        return self._spell(held)

    def _read(self, char: str) -> str:
        held = self._held + char
        # digits inside a word, as in MP3, are not an amount
        if not self._in_word and _OPEN.fullmatch(held):
            self._held = held
            return ""
        self._held = ""
        spoken = self._spell(held)
        if len(held) > 1 and spoken.endswith(char) and _OPEN.fullmatch(char):
            self._held = char  # the next amount starts where this one ends
            return spoken[:-1]
        self._in_word = char.isascii() and char.isalnum()
        return spoken

    def _spell(self, text: str) -> str:
        return _CHUNK.sub(self._replacement, text)

    def _replacement(self, match: re.Match[str]) -> str:
        if match["money"]:
            return self._money(match)
        if match["low"]:
            return f"{match['low']}到" if self._chinese else f"{match['low']} to "
        if match["about"]:
            return "大约" if self._chinese else "about "
        if match["unit"]:
            return self._unit(match)
        return match[0]

    def _money(self, match: re.Match[str]) -> str:
        amount, scale = match["amount"], match["scale"]
        if self._chinese:
            return f"{amount}{_MONEY_ZH[match['money']]}" if not scale else match[0]
        one, many = _MONEY_EN[match["money"]]
        if scale:
            return f"{amount} {scale} {many}"
        return f"{amount} {one if amount == '1' else many}"

    def _unit(self, match: re.Match[str]) -> str:
        unit = _SAME_UNIT.get(match["unit"], match["unit"])
        number = match["number"]
        if self._chinese:
            if unit == "%":
                return f"百分之{number}"
            spoken = _UNITS_ZH.get(unit)
            return f"{number}{spoken}" if spoken else match[0]
        names = _UNITS_EN.get(unit)
        return f"{number} {names[0] if number == '1' else names[1]}" if names else match[0]
