"""Validation of request fields; each error names the field."""

from __future__ import annotations

import math
import re

from services.runtime.errors import InvalidRequest
from text.cleaning import clean_line, clean_text, is_clean_line

MIN_SAMPLE_RATE_HZ = 8_000
MAX_SAMPLE_RATE_HZ = 48_000
_TURN_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def check_turn_id(field: str, value: str) -> None:
    """Checks that a turn id is 1 to 64 characters of [A-Za-z0-9_.-].

    Raises:
        InvalidRequest: The id is invalid.
    """
    if not _TURN_ID.fullmatch(value):
        raise InvalidRequest(
            f"{field}: {_shown(value)} must be 1 to 64 letters, digits, '_', '.' or '-'"
        )


def check_rate(field: str, hz: int) -> None:
    """Checks that a sample rate is 8,000 to 48,000 Hz.

    Raises:
        InvalidRequest: The rate is outside this range.
    """
    check_range(field, hz, MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ)


def check_text(field: str, text: str, max_chars: int, *, min_chars: int = 1) -> None:
    """Checks the length of a text, and that it contains no NUL.

    Args:
        field: The name of the field.
        text: The text.
        max_chars: The maximum number of Unicode code points.
        min_chars: The minimum, not counting leading and trailing white space.

    Raises:
        InvalidRequest: The text is too short, too long or contains a NUL.
    """
    if len(text) > max_chars:
        raise InvalidRequest(f"{field}: must be at most {max_chars} characters, got {len(text)}")
    if len(text.strip()) < min_chars:
        raise InvalidRequest(f"{field}: is empty" if min_chars == 1 else f"{field}: is too short")
    if "\x00" in text:
        raise InvalidRequest(f"{field}: contains a NUL character")


def check_name(field: str, text: str, max_chars: int, *, min_chars: int = 1) -> None:
    """Checks the length of a name, and that it is one line without hidden characters.

    Names identify something, so nothing is removed from them: two names could become one.

    Raises:
        InvalidRequest: The name is too short, too long, or contains such characters.
    """
    check_text(field, text, max_chars, min_chars=min_chars)
    if not is_clean_line(text):
        raise InvalidRequest(
            f"{field}: contains a line break, a control character or a directional override"
        )


def cleaned_text(field: str, text: str, max_chars: int, *, min_chars: int = 1) -> str:
    """Returns a text without hidden characters, checked like `check_text`.

    Raises:
        InvalidRequest: The text is too short, too long or contains a NUL.
    """
    check_text(field, text, max_chars, min_chars=min_chars)
    cleaned = clean_text(text)
    check_text(field, cleaned, max_chars, min_chars=min_chars)
    return cleaned


def cleaned_line(field: str, text: str, max_chars: int, *, min_chars: int = 1) -> str:
    """Returns a text as one line without hidden characters, checked like `check_text`.

    Raises:
        InvalidRequest: The text is too short, too long or contains a NUL.
    """
    check_text(field, text, max_chars, min_chars=min_chars)
    cleaned = clean_line(text)
    check_text(field, cleaned, max_chars, min_chars=min_chars)
    return cleaned


def check_range(field: str, value: float, low: float, high: float) -> None:
    """Checks that a number is in low..high, both included, and not NaN.

    Raises:
        InvalidRequest: The number is outside this range.
    """
    if math.isnan(value) or not low <= value <= high:
        raise InvalidRequest(f"{field}: {value} is not in {low}..{high}")


def _shown(value: str) -> str:
    return repr(value if len(value) <= 64 else value[:64] + "…")
