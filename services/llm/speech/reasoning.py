"""Removes a model's reasoning from the spoken text."""

from __future__ import annotations

from typing import Final

_OPENERS: Final = ("<think>", "<thinking>", "<reasoning>", "<|begin_of_thought|>")
_CLOSERS: Final = ("</think>", "</thinking>", "</reasoning>", "<|end_of_thought|>")


class ReasoningFilter:
    """Drops `<think>...</think>` and similar blocks from a text that arrives in pieces of any size.

    An unclosed block is dropped up to the end. Models whose chat template has already opened the
    block write only its end: use `inside=True` for those.
    """

    def __init__(self, *, inside: bool = False) -> None:
        self._inside = inside
        self._held = ""

    def feed(self, text: str) -> str:
        """Takes more text; returns the part that certainly belongs to the answer."""
        self._held += text
        if "<" not in self._held:
            whole, self._held = self._held, ""
            return "" if self._inside else whole
        kept: list[str] = []
        while True:
            markers = _CLOSERS if self._inside else _OPENERS
            found = [(self._held.find(marker), marker) for marker in markers]
            places = [place for place in found if place[0] >= 0]
            if not places:
                break
            position, marker = min(places)
            if not self._inside:
                kept.append(self._held[:position])
            self._held = self._held[position + len(marker) :]
            self._inside = not self._inside
        undecided = _undecided(self._held, markers)
        if not self._inside:
            kept.append(self._held[: len(self._held) - undecided])
        self._held = self._held[len(self._held) - undecided :]
        return "".join(kept)

    def finish(self) -> str:
        """Returns the text held back because it could have started a block."""
        held, self._held = self._held, ""
        return "" if self._inside else held


def _undecided(text: str, markers: tuple[str, ...]) -> int:
    """Counts the characters at the end that may start a marker; each marker has one `<`."""
    start = text.rfind("<")
    end = text[start:]
    return len(end) if start >= 0 and any(one.startswith(end) for one in markers) else 0
