"""Finds what Whisper makes up: text for sounds without speech, and endless repetitions."""

from collections.abc import Sequence
from typing import Final

NO_SPEECH: Final = 0.6
"""From this probability of no speech on, a text of low probability is dropped. As in
`whisper/transcribe.py` of OpenAI, `no_speech_threshold` and `logprob_threshold`."""
LOW_LOG_PROBABILITY: Final = -1.0
_LEAST_REPEATS: Final = 3
_MAX_TOKENS_PER_S: Final = 8.0


def is_made_up(no_speech: float, log_probability: float) -> bool:
    """Returns whether a text was probably heard in a sound that is no speech.

    Args:
        no_speech: The model's probability that there is no speech, 0 to 1.
        log_probability: The mean natural logarithm of the probabilities of the tokens.
    """
    return no_speech > NO_SPEECH and log_probability < LOW_LOG_PROBABILITY


def without_loop(ids: Sequence[int], speech_s: float) -> list[int]:
    """Returns tokens without the repetitions that a decoder caught in a loop adds at the end.

    People repeat words too ("no, no, no"), so only more tokens than can be spoken in the time are a
    loop. A text that is nothing but a loop of one token is empty.

    Args:
        ids: The tokens.
        speech_s: The length of the speech in seconds.
    """
    kept = list(ids)
    if len(kept) <= _MAX_TOKENS_PER_S * max(speech_s, 1.0):
        return kept
    for size in range(1, len(kept) // _LEAST_REPEATS + 1):
        start = len(kept) - size
        # The decoder may have been cut off anywhere in the phrase.
        while start > 0 and kept[start - 1] == kept[start - 1 + size]:
            start -= 1
        if len(kept) - start >= _LEAST_REPEATS * size:
            return kept[:start] if size == 1 else kept[: start + size]
    return kept
