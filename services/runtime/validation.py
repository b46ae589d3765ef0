"""Checks of request fields; each names the field it refuses."""

from __future__ import annotations

import math
import re

from services.runtime.errors import InvalidRequest

MIN_SAMPLE_RATE_HZ = 8_000
MAX_SAMPLE_RATE_HZ = 48_000
_TURN_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def check_turn_id(field: str, value: str) -> None:
    """Refuse what is not 1 to 64 characters of [A-Za-z0-9_.-].

    Raises:
        InvalidRequest: It is not.
    """
    if not _TURN_ID.fullmatch(value):
        raise InvalidRequest(
            f"{field}: {_shown(value)} is not 1 to 64 characters of letters, digits, '_', '.', '-'"
        )


def check_rate(field: str, hz: int) -> None:
    """Refuse a sample rate outside 8,000 to 48,000 Hz.

    Raises:
        InvalidRequest: It is outside.
    """
    check_range(field, hz, MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ)


def check_text(field: str, text: str, max_chars: int, *, min_chars: int = 1) -> None:
    """Refuse a text that is too short, too long, or holds a NUL.

    Args:
        field: The name of the field.
        text: The text.
        max_chars: The most Unicode code points.
        min_chars: The fewest; white space alone counts as nothing when it is above 0.

    Raises:
        InvalidRequest: It is.
    """
    if len(text) > max_chars:
        raise InvalidRequest(f"{field}: {len(text)} characters are more than {max_chars}")
    if len(text.strip()) < min_chars:
        raise InvalidRequest(f"{field}: is empty" if min_chars == 1 else f"{field}: is too short")
    if "\x00" in text:
        raise InvalidRequest(f"{field}: holds a NUL character")


def check_range(field: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside low..high, both included, and NaN.

    Raises:
        InvalidRequest: It is.
    """
    if math.isnan(value) or not low <= value <= high:
        raise InvalidRequest(f"{field}: {value} is not in {low}..{high}")


def _shown(value: str) -> str:
    return repr(value if len(value) <= 64 else value[:64] + "…")
