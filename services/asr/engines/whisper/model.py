"""A loaded Whisper model: transcribes several recordings in one pass of the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.asr.engine import DECODER_RATE_HZ, Hypothesis, Word
from services.asr.engines.whisper.features import FRAMES_PER_S, LogMel
from services.asr.engines.whisper.loops import is_made_up, without_loop
from services.asr.engines.whisper.simplified import Simplified
from services.asr.engines.whisper.tokens import Spelling, Vocabulary

MAX_SPEECH_S: Final = 28.0
"""The longest recording of a job: the window of the model less the silence after the speech."""
_MAX_FRAMES: Final = 3000
_MIN_FRAMES: Final = 1000
_SILENT_FRAMES: Final = 200
_TOKENS_PER_S: Final = 10
_TOKENS: Final = 12
_MIN_TOKEN_PROBABILITY: Final = 1e-4
_POSITION_SAMPLES: Final = DECODER_RATE_HZ // 50
NOTHING: Final = Hypothesis()


@dataclass(kw_only=True, eq=False)
class Job:
    """A recording to transcribe.

    Attributes:
        samples: Mono audio at 16 kHz, shape (samples,), at most `MAX_SPEECH_S`.
        languages: BCP-47 tags of the languages that it may be in, the likeliest first; of several
            the one that is spoken is detected.
        beam: How many transcripts are followed at once; 1 is the fastest.
        final: Whether somebody waits for the result; times and confidences of words are then
            wanted too.
        transcribe: Whether a transcript is wanted; otherwise only the language is.
        abandoned: Set by the caller when the result is no longer needed.
    """

    samples: NDArray[np.int16]
    languages: tuple[str, ...]
    beam: int = 1
    final: bool = False
    transcribe: bool = True
    abandoned: bool = False

    @property
    def duration_s(self) -> float:
        """The length of the recording in seconds."""
        return len(self.samples) / DECODER_RATE_HZ

    @property
    def frames(self) -> int:
        """The window that the encoder needs, in steps of 10 ms; even.

        The encoder takes less than its 30 s, but below 10 s, or without two seconds of silence
        after the speech, the decoder repeats the sentence: measured, 23 instead of 5 % of the words
        were wrong.
        """
        needed = math.ceil(self.duration_s * FRAMES_PER_S) + _SILENT_FRAMES
        return min(max(needed + needed % 2, _MIN_FRAMES), _MAX_FRAMES)


@dataclass(frozen=True, kw_only=True)
class Heard:
    """The result of a job.

    Attributes:
        language: The language, one of the job's.
        certainty: Its probability among them, 0 to 1.
        hypothesis: The transcript; without text if none was wanted.
    """

    language: str
    certainty: float
    hypothesis: Hypothesis = NOTHING


class WhisperModel:
    """A model in the format of CTranslate2. Its methods block; several threads may call them.

    Attributes:
        languages: BCP-47 tags of the languages that it understands.

    Args:
        folder: `model.bin`, `config.json`, `vocabulary.txt` (or `.json`) and `tokenizer.json`.
        device: "cpu" or "cuda".
        compute_type: Numbers of the computation, such as "int8".
        threads: CPU threads of one pass.
        workers: Passes at the same time.

    Raises:
        Exception: The files cannot be loaded (CTranslate2 has no narrower error).
    """

    def __init__(
        self, folder: Path, *, device: str, compute_type: str, threads: int, workers: int
    ) -> None:
        # Imported here, because the module of an engine is imported for its options too.
        import ctranslate2

        self._storage = ctranslate2.StorageView
        self._vocabulary = Vocabulary(folder / "tokenizer.json")
        self._model = ctranslate2.models.Whisper(
            str(folder),
            device=device,
            compute_type=compute_type,
            intra_threads=threads,
            inter_threads=workers,
        )
        self._multilingual = bool(self._model.is_multilingual)
        self._log_mel = LogMel(self._model.n_mels)
        self._simplified = Simplified()
        known = self._vocabulary.languages if self._multilingual else ("en",)
        first = tuple(tag for tag in ("en", "zh") if tag in known)
        self.languages = first + tuple(sorted(set(known) - set(first)))

    def transcribe(self, jobs: Sequence[Job]) -> list[Heard]:
        """Transcribes recordings in one pass, as wide as the longest of them.

        Args:
            jobs: At least one; `beam`, `final` and `transcribe` are those of the first.

        Returns:
            The results, in the order of the jobs.
        """
        frames = max(job.frames for job in jobs)
        mels = np.stack([self._log_mel(job.samples, frames) for job in jobs])
        encoded = self._model.encode(self._storage.from_array(mels))
        spoken = self._detect(encoded, jobs)
        if not jobs[0].transcribe or all(job.abandoned for job in jobs):
            return [Heard(language=language, certainty=sure) for language, sure in spoken]
        languages = [language for language, _ in spoken]
        results = self._generate(encoded, jobs, languages)
        tokens = [self._believed(result, job) for result, job in zip(results, jobs, strict=True)]
        words: list[tuple[Word, ...]] = [()] * len(jobs)
        if jobs[0].final and any(tokens):
            words = self._timed(encoded, jobs, tokens, languages)
        return [
            Heard(
                language=language,
                certainty=sure,
                hypothesis=Hypothesis(
                    text=self._simplified(self._vocabulary.text(ids), language),
                    words=timed,
                    confidence=_probability(result) if ids and not timed else None,
                ),
            )
            for (language, sure), ids, timed, result in zip(
                spoken, tokens, words, results, strict=True
            )
        ]

    def _detect(self, encoded: Any, jobs: Sequence[Job]) -> list[tuple[str, float]]:
        """Returns the language of each recording and how sure that is among its languages."""
        if all(len(job.languages) == 1 for job in jobs):
            return [(job.languages[0], 1.0) for job in jobs]
        found = []
        for job, ranked in zip(jobs, self._model.detect_language(encoded), strict=True):
            all_languages = {token[2:-2]: probability for token, probability in ranked}
            among = {tag: all_languages.get(tag, 0.0) for tag in job.languages}
            best = max(among, key=among.__getitem__)
            found.append((best, among[best] / (sum(among.values()) or 1.0)))
        return found

    def _generate(self, encoded: Any, jobs: Sequence[Job], languages: list[str]) -> list[Any]:
        prompts = [
            self._vocabulary.start_of(language, multilingual=self._multilingual)
            for language in languages
        ]
        longest_s = max(job.duration_s for job in jobs)
        return list(
            self._model.generate(
                encoded,
                prompts,
                beam_size=jobs[0].beam,
                max_length=len(prompts[0]) + math.ceil(_TOKENS_PER_S * longest_s) + _TOKENS,
                return_scores=True,
                return_no_speech_prob=True,
            )
        )

    def _believed(self, result: Any, job: Job) -> list[int]:
        """Returns the tokens of a result, without what the model has made up."""
        if is_made_up(result.no_speech_prob, result.scores[0]):
            return []
        ids = [token for token in result.sequences_ids[0] if token < self._vocabulary.end]
        return without_loop(ids, job.duration_s)

    def _timed(
        self, encoded: Any, jobs: Sequence[Job], tokens: list[list[int]], languages: list[str]
    ) -> list[tuple[Word, ...]]:
        """Returns the words of each recording with times from the attention of the decoder.

        The method is the alignment of CTranslate2: dynamic time warping over the heads that the
        model's `config.json` names. It takes one more pass of the decoder.
        """
        start = self._vocabulary.task_of(languages[0], multilingual=self._multilingual)
        # A recording without text keeps its place in the batch.
        ends = [self._vocabulary.end]
        aligned = self._model.align(
            encoded,
            start,
            [ids or ends for ids in tokens],
            [min(math.ceil(job.duration_s * FRAMES_PER_S), _MAX_FRAMES) for job in jobs],
        )
        return [
            tuple(
                self._word(spelling, alignment, job, language)
                for spelling in self._vocabulary.words(ids)
            )
            for alignment, job, ids, language in zip(aligned, jobs, tokens, languages, strict=True)
        ]

    def _word(self, spelling: Spelling, alignment: Any, job: Job, language: str) -> Word:
        start = _position(alignment.alignments, spelling.first, len(job.samples))
        end = _position(alignment.alignments, spelling.end, len(job.samples))
        probabilities = alignment.text_token_probs[spelling.first : spelling.end]
        return Word(
            text=self._simplified(spelling.text, language),
            start_sample=start,
            sample_count=end - start,
            confidence=_mean(probabilities),
        )


def _position(path: Sequence[tuple[int, int]], token: int, samples: int) -> int:
    """Returns the sample at which the path of an alignment reaches a token.

    Args:
        path: Pairs of a token and a position of the encoder, of which there is one per 20 ms; both
            ascend, and the first position may be -1.
        token: The index of the token.
        samples: The length of the recording, which no position exceeds.
    """
    reached = (position for at, position in path if at >= token)
    return min(max(next(reached, samples), 0) * _POSITION_SAMPLES, samples)


def _probability(result: Any) -> float:
    """Returns the mean probability of a token, 0 to 1: the score is the mean logarithm."""
    return float(min(math.exp(result.scores[0]), 1.0))


def _mean(probabilities: Sequence[float]) -> float | None:
    if not probabilities:
        return None
    logs = [math.log(max(each, _MIN_TOKEN_PROBABILITY)) for each in probabilities]
    return min(math.exp(sum(logs) / len(logs)), 1.0)
