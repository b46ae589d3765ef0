"""Removes characters that change how a text is shown or read, without being seen.

One policy for all texts from outside:

- Removed: control characters but tab and line feed, directional embeddings, overrides and isolates
  (U+202A to U+202E, U+2066 to U+2069), byte order marks, interlinear annotations, tags (U+E0000 to
  U+E007F), which models read and people do not see, and lone surrogates, which no message carries.
- Line ends of all kinds become line feeds; in one-line texts all white space becomes spaces.
- Kept: everything else, such as joiners and marks of direction (U+200C to U+200F), which scripts
  and emoji need.
"""

import re
from typing import Final

_LINE_ENDS: Final = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
HIDDEN: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""What is removed."""
_NOT_IN_LINES: Final = re.compile(f"{HIDDEN.pattern}|[\t\n\r\x0b\x0c\x85\u2028\u2029]")


def clean_text(text: str) -> str:
    """Returns a text of one or more lines without hidden characters."""
    if text.isascii() and text.isprintable():
        return text
    return HIDDEN.sub("", _LINE_ENDS.sub("\n", text))


def clean_line(text: str) -> str:
    """Returns a text as one line without hidden characters and without white space at its ends."""
    return " ".join(clean_text(text).split())


def is_clean_line(text: str) -> bool:
    """Reports whether a text is one line without hidden characters, as a name must be."""
    return _NOT_IN_LINES.search(text) is None
