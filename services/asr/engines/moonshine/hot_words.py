"""Names and other rare words that are likely to be said.

The decoder writes the most probable id at each step, and so writes a word that it knows in place of
a name that it has never seen. Where a likely phrase could begin instead, it is written and the rest
after it; that text wins if the audio supports it almost as well. This is contextual biasing by
rescoring: Zhao et al., 2019, "Shallow-Fusion End-to-End Contextual Biasing", with alternatives in
place of a beam.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.asr.engines.moonshine.tokenizer import Vocabulary
from services.asr.engines.moonshine.writer import Line, Row, Writer, log_probability
from text.normal import normal

_BONUS: Final = 6.0
"""By how much less probable a text with a likely phrase may be, as a natural logarithm."""
_LEAST_FIRST: Final = -7.0
"""The least score of the first id of a phrase, relative to that of the best id."""
_MOST_ATTEMPTS: Final = 6
_MOST_ACCEPTED: Final = 3


@dataclass
class _Node:
    """A place in a tree of phrases.

    Attributes:
        after: The next nodes by their ids.
        ends: Whether a phrase ends here.
    """

    after: dict[int, _Node] = field(default_factory=dict)
    ends: bool = False


class HotWords:
    """Phrases that are preferred to what sounds almost the same.

    Args:
        phrases: The ids of each phrase; see `Vocabulary.ids`.
        vocabulary: The vocabulary of the ids.
    """

    def __init__(self, phrases: Iterable[Sequence[int]], vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._root = _Node()
        for ids in phrases:
            node = self._root
            for one in ids:
                node = node.after.setdefault(one, _Node())
            node.ends = node is not self._root
        self.first_ids = tuple(self._root.after)

    def prefer(self, line: Line, writer: Writer) -> Line:
        """Returns the line, with likely phrases where the audio supports them.

        Args:
            line: The most probable ids, with the scores of `first_ids` as rows.
            writer: Has just written the line.
        """
        attempts = 0
        for _ in range(_MOST_ACCEPTED):
            caches = writer.caches()
            better = None
            for at, first in self._beginnings(line):
                attempts += 1
                if attempts > _MOST_ATTEMPTS:
                    break
                writer.go_back(caches, at)
                better = self._with_phrase(line, at, first, writer)
                if better is not None:
                    break
            if better is None:
                return line
            line = better
        return line

    def _beginnings(self, line: Line) -> list[tuple[int, int]]:
        """Returns where a phrase could begin and its first id, the most probable ones first."""
        found = []
        for at, (one, row) in enumerate(zip(line.ids, line.rows, strict=True)):
            if row is None or not (at == 0 or self._vocabulary.begins_word(one)):
                continue
            for index in np.flatnonzero(row >= _LEAST_FIRST):
                first = self.first_ids[index]
                if not self._is_written(line.ids[at:], first):
                    found.append((-float(row[index]), at, first))
        return [(at, first) for _, at, first in sorted(found)]

    def _is_written(self, ids: Sequence[int], first: int) -> bool:
        node = self._root if ids[0] == first else _Node()
        for one in ids:
            if one not in node.after:
                return False
            node = node.after[one]
            if node.ends:
                return True
        return False

    def _with_phrase(self, line: Line, at: int, first: int, writer: Writer) -> Line | None:
        """Returns the line with a phrase from `at` on; None if it is not probable enough."""
        least = sum(line.log_probabilities) - _BONUS
        new = line.until(at)
        row = self._spell(new, first, writer, least)
        if row is None or self._is_said_already(line, new.ids[at:]):
            return None
        after = int(row.argmax())
        if not self._ends_word(after):
            return None  # "Ani" is no part of "animal"
        new.add(after, log_probability(row, after))
        done = writer.finish(new, watched=self.first_ids, least=least)
        return done if done is not None and done.finished else None

    def _is_said_already(self, line: Line, phrase: Sequence[int]) -> bool:
        """Returns whether a phrase is in a line apart from case: "I will" is not "Will"."""
        said, wanted = (normal(self._vocabulary.text(ids)) for ids in (line.ids, phrase))
        return f" {wanted} " in f" {said} "

    def _spell(self, new: Line, first: int, writer: Writer, least: float) -> Row | None:
        """Adds a phrase to a line; returns the scores of what follows, None if it is no good."""
        node, one = self._root, first
        while True:
            row = writer.next_row(new)
            if row is None or not writer.has_room(new):
                return None
            if node is not self._root:
                following = _following(node, row)
                if following is None:
                    return row
                one = following
            new.add(one, log_probability(row, one))
            if sum(new.log_probabilities) <= least:
                return None
            node = node.after[one]

    def _ends_word(self, one_id: int) -> bool:
        text = self._vocabulary.text([one_id])
        return self._vocabulary.begins_word(one_id) or not text[:1].isalnum()


def _following(node: _Node, row: Row) -> int | None:
    """Returns the most probable id that continues a phrase; None if the phrase ends."""
    if not node.after:
        return None
    one = max(node.after, key=lambda each: float(row[each]))
    return None if node.ends and row.max() > row[one] else one
