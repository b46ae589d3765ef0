"""Cuts a text before the first stop text."""

from __future__ import annotations

from collections.abc import Sequence


class StopFilter:
    """Passes text through up to a stop; holds back text that may be the start of one.

    Attributes:
        stopped: Whether a stop was found; any further text is dropped.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.stopped = False
        self._stops = [stop for stop in stops if stop]
        self._held = ""

    def feed(self, text: str) -> str:
        """Takes more text; returns the part that is certainly before any stop."""
        if self.stopped:
            return ""
        text, self._held = self._held + text, ""
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self.stopped = True
            return text[: min(places)]
        longest = max(map(len, self._stops), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                self._held = text[-length:]
                return text[:-length]
        return text

    def finish(self) -> str:
        """Returns the text that was held back."""
        held, self._held = self._held, ""
        return held
