"""Text id by id: the decoder of the model and its caches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.asr.engines.moonshine.tokenizer import END_ID, START_ID

_PAST: Final = "past_key_values."
_PRESENT: Final = "present."
_ENCODER_PART: Final = ".encoder."

Row = NDArray[np.float32]


@dataclass(kw_only=True)
class Line:
    """What has been written so far.

    Attributes:
        ids: The chosen ids, the end included.
        log_probabilities: The natural logarithm of the probability of each.
        rows: The part of the decoder's output that was asked for, for each id; None where an id was
            not chosen freely.
    """

    ids: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    rows: list[Row | None] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether the end was written."""
        return bool(self.ids) and self.ids[-1] == END_ID

    def add(self, one_id: int, log_probability: float, row: Row | None = None) -> None:
        """Adds an id."""
        self.ids.append(one_id)
        self.log_probabilities.append(log_probability)
        self.rows.append(row)

    def until(self, count: int) -> Line:
        """Returns a copy of the first `count` ids."""
        return Line(
            ids=self.ids[:count],
            log_probabilities=self.log_probabilities[:count],
            rows=self.rows[:count],
        )


class DecoderNetwork:
    """The network that is run once for each id.

    Args:
        session: Its onnxruntime session.

    Raises:
        ValueError: It is the decoder of another model.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        shapes = {each.name: each.shape for each in session.get_inputs()}
        self.empty = {
            name: np.zeros((1, int(shape[1]), 0, int(shape[3])), np.float32)
            for name, shape in shapes.items()
            if name.startswith(_PAST)
        }
        if not self.empty:
            raise ValueError(f"the decoder takes no {_PAST}*: it is another model")
        presents = [name.replace(_PAST, _PRESENT) for name in self.empty]
        self._first_outputs = ["logits", *presents]
        # What a later step returns for the encoder's part is not usable.
        self._next_outputs = [name for name in self._first_outputs if _ENCODER_PART not in name]

    def run(self, last_id: int, feeds: dict[str, NDArray[Any]], *, first: bool) -> Row:
        """Returns the scores of the next id, shape [ids], and puts the caches into `feeds`."""
        feeds["input_ids"] = np.array([[last_id]], np.int64)
        feeds["use_cache_branch"] = np.array([not first])
        names = self._first_outputs if first else self._next_outputs
        logits, *presents = self._session.run(names, feeds)
        for name, present in zip(names[1:], presents, strict=True):
            feeds[name.replace(_PRESENT, _PAST)] = present
        row: Row = logits[0, -1]
        return row


class Writer:
    """Writes the text of one piece of audio, and may go back to write another one.

    Args:
        network: Shared by all writers.
        states: What the encoder has heard, shape [1, frames, width].
        mask: Ones, shape [1, samples].
        most_ids: The longest text.
        stopped: Asked before every id; True ends the work.
    """

    def __init__(
        self,
        network: DecoderNetwork,
        *,
        states: NDArray[np.float32],
        mask: NDArray[np.int64],
        most_ids: int,
        stopped: Callable[[], bool],
    ) -> None:
        self._network = network
        self._feeds: dict[str, NDArray[Any]] = {
            "encoder_hidden_states": states,
            "encoder_attention_mask": mask,
            **network.empty,
        }
        self._most = most_ids
        self._stopped = stopped

    def caches(self) -> dict[str, NDArray[Any]]:
        """Returns the caches, for `go_back`."""
        return dict(self._feeds)

    def go_back(self, caches: dict[str, NDArray[Any]], count: int) -> None:
        """Returns to the state before the id at index `count`.

        Args:
            caches: Those after a text with the same first `count` ids.
            count: How many ids are kept.
        """
        self._feeds = {
            name: np.ascontiguousarray(value[:, :, :count])
            if name.startswith(_PAST) and (_ENCODER_PART not in name or not count)
            else value
            for name, value in caches.items()
        }

    def next_row(self, line: Line) -> Row | None:
        """Returns the scores of the id after a line, shape [ids]; None if the work is stopped."""
        if self._stopped():
            return None
        return self._network.run(
            line.ids[-1] if line.ids else START_ID, self._feeds, first=not line.ids
        )

    def has_room(self, line: Line) -> bool:
        """Returns whether the line may become longer."""
        return not line.finished and len(line.ids) < self._most

    def finish(
        self, line: Line, *, watched: Sequence[int] = (), least: float = -math.inf
    ) -> Line | None:
        """Adds the most probable ids up to the end or to the greatest length.

        Args:
            line: A line whose ids the caches hold; it is changed.
            watched: Ids whose scores, less that of the best one, are kept with each id.
            least: The least sum of the logarithms of the probabilities.

        Returns:
            The line; None if the work is stopped or the line is less probable.
        """
        indexes = list(watched)
        while self.has_room(line):
            row = self.next_row(line)
            if row is None:
                return None
            best = int(row.argmax())
            kept = row[indexes] - row[best] if indexes else None
            line.add(best, log_probability(row, best), kept)
            if sum(line.log_probabilities) <= least:
                return None
        return line


def log_probability(row: Row, one_id: int) -> float:
    """Returns the natural logarithm of the probability of an id."""
    best = row.max()
    return float(row[one_id] - best - np.log(np.exp(row - best).sum()))
