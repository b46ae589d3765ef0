"""Quality figures of the face: silence, closures, vowels, joins, and the lag of the lips."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.faces.avatar_subjects import Subject
from bench.faces.lip_sync_lag import lag_and_confidence, mel_energies
from bench.faces.marked_speech import VOICES, MarkedSpeech, animate
from bench.faces.seen_mouth import film, seen_mouths
from bench.goals import Goals
from services.avatar.animation.parameters import FaceParameters
from services.avatar.engine import BgrImage, VideoSpec
from services.avatar.engines.painted import PaintedFaces
from services.avatar.photo.networks import FaceNetworks

FPS = 25
VIDEO = VideoSpec(width_px=512, height_px=512, frame_rate_hz=FPS)
MOST_IN_SILENCE = 0.01
LEAST_CLOSED = 0.95
LEAST_CLOSED_BY_SOUND = 0.75
"""For the voices that it was fitted to; a voice that was left out reaches 70 to 80 %."""
MOST_JUMP = 1.5
MOST_LAG_FRAMES = 1
LEAST_CONFIDENCE = 0.3
"""Chance alone reaches 0.25 in half a minute; below that the position of the peak is random."""
_PP, _VOWELS = 2, (11, 12, 14)
_CLOSED = 0.01
_PAUSE_S = 0.25
"""The pause that the speech service adds after a sentence."""
_SEEN_SENTENCES = 12


def print_quality(
    engine: PaintedFaces,
    subjects: Sequence[Subject],
    spoken: Sequence[MarkedSpeech],
    networks: FaceNetworks,
    goals: Goals,
) -> None:
    """Prints all figures for the given avatars."""
    silent = _silence()
    by_marks, by_sound = (
        [animate(speech, marked=marked) for speech in spoken] for marked in (True, False)
    )
    for subject in subjects:
        print(f"\n{subject.name}")
        _print_silence(subject, silent, goals)
        _print_closures(subject, spoken, by_marks, by_sound, goals)
        into, out = _joins(engine, subject.name, spoken)
        goals.at_most("idle to talk, of the loop's largest step", into, MOST_JUMP, form=".2f")
        goals.at_most("talk to idle, of the loop's largest step", out, MOST_JUMP, form=".2f")
        said = [speech for speech in spoken if speech.voice == spoken[0].voice][:_SEEN_SENTENCES]
        seen = [
            seen_mouths(networks, asyncio.run(film(engine, subject.name, speech, VIDEO)))
            for speech in said
        ]
        check_lag("lag of the lips seen in the video", said, seen, goals)
    print("\nlag of the parameters")
    for voice in VOICES:
        for by, faces in (("marks", by_marks), ("sound", by_sound)):
            chosen = [i for i, speech in enumerate(spoken) if speech.voice == voice]
            if chosen:
                mouths = [_shown(faces[i]) for i in chosen]
                check_lag(f"{voice} by {by}", [spoken[i] for i in chosen], mouths, goals)


def check_lag(
    what: str,
    spoken: Sequence[MarkedSpeech],
    mouths: Sequence[NDArray[np.float64]],
    goals: Goals,
) -> None:
    """Prints by how many frames mouths are off their sound, and how certain that is.

    Args:
        what: The name of the measurement.
        spoken: Sentences.
        mouths: Two measures of the mouth for each sentence, shape (frames, 2).
        goals: Receives the figures.
    """
    sounds = [mel_energies(speech.audio, speech.sample_rate_hz, FPS) for speech in spoken]
    pairs = [
        (sound[:count], mouth[:count])
        for sound, mouth in zip(sounds, mouths, strict=True)
        for count in [min(len(sound), len(mouth))]
    ]
    sound = np.vstack([one for one, _ in pairs])
    mouth = np.vstack([other for _, other in pairs])
    lag, r, confidence = lag_and_confidence(sound, mouth)
    said = f"{len(mouth) / FPS:.0f} s, r {r:.2f}"
    goals.at_most(f"{what} ({said}), {lag:+d} frames; size", abs(lag), MOST_LAG_FRAMES, form="d")
    goals.at_least(f"{what}, confidence of the peak", confidence, LEAST_CONFIDENCE)


def _silence() -> list[FaceParameters]:
    """Returns the face while nothing is said: in digital silence, and in a room 60 dB down."""
    room = np.random.default_rng(3).normal(0, 32, 16_000 * 20).astype(np.int16)
    heard = [
        MarkedSpeech(voice="", sample_rate_hz=16_000, audio=audio, spans=[])
        for audio in (np.zeros_like(room), room)
    ]
    return [face for speech in heard for face in animate(speech, marked=False)]


def _print_silence(subject: Subject, silent: list[FaceParameters], goals: Goals) -> None:
    moved = max(abs(subject.opening(face.mouth) - subject.at_rest) for face in silent)
    if subject.at_rest:
        print(f"in the photo itself the lips are {subject.at_rest:.3f} of the face height apart")
    goals.at_most("opening in silence, of the face height", moved, MOST_IN_SILENCE)


def _print_closures(
    subject: Subject,
    spoken: Sequence[MarkedSpeech],
    by_marks: list[list[FaceParameters]],
    by_sound: list[list[FaceParameters]],
    goals: Goals,
) -> None:
    flat, jerks = [], []
    for by, faces in (("marks", by_marks), ("sound", by_sound)):
        lines = [[subject.opening(face.mouth) for face in each] for each in faces]
        closures = [p for s, o in zip(spoken, lines, strict=True) for p in _near(s, (_PP,), o)]
        vowels = [p for s, o in zip(spoken, lines, strict=True) for p in _near(s, _VOWELS, o)]
        closed = float(np.mean([min(part) < _CLOSED for part in closures]))
        jerk = np.mean([np.abs(np.diff(line, 2)).mean() for line in lines])
        wide = np.mean([max(part) for part in vowels])
        if by == "marks":
            goals.at_least(
                f"{len(closures)} closures by marks, closed", closed, LEAST_CLOSED, form=".0%"
            )
        else:
            goals.at_least("closures by sound, closed", closed, LEAST_CLOSED_BY_SOUND, form=".0%")
        print(f"open vowels by {by}: {wide:.3f} of the face height, second difference {jerk:.4f}")
        jerks.append(jerk)
        flat.append(np.concatenate(lines))
    goals.at_most(
        "second difference by sound, of that by marks", jerks[1] / jerks[0], 1, form=".2f"
    )
    r = np.corrcoef(flat[0], flat[1])[0, 1]
    print(f"mean opening by marks {flat[0].mean():.3f}, by sound {flat[1].mean():.3f}, r {r:.2f}")


def _near(
    speech: MarkedSpeech, viseme: tuple[int, ...], openings: list[float]
) -> list[list[float]]:
    """Returns the openings around each span of a viseme, from one frame early to its end."""
    found = []
    for span in speech.spans:
        if span.viseme in viseme:
            first = int((span.start_sample / speech.sample_rate_hz - 0.04) * FPS)
            last = int(np.ceil(span.end_sample / speech.sample_rate_hz * FPS))
            found.append(openings[max(0, first) : last + 1])
    return [part for part in found if part]


def _joins(
    engine: PaintedFaces, avatar: str, spoken: Sequence[MarkedSpeech]
) -> tuple[float, float]:
    """Returns the largest frame difference between idle and talk, relative to the loop's own."""
    loop = [frame.copy() for frame in engine.idle_loop(avatar=avatar, video=VIDEO)]
    own = max(_difference(a, b) for a, b in pairwise([*loop, loop[0]]))
    into, out = 0.0, 0.0
    for first, speech in zip(range(0, 200, 25), spoken, strict=False):
        audio = _with_pause(speech)
        face = engine.open_stream(
            avatar=avatar,
            video=VIDEO,
            sample_rate_hz=speech.sample_rate_hz,
            turn_id=f"join {first}",
            idle_frame=first,
        )
        face.add_visemes(speech.spans)
        face.add_audio(audio)
        face.end_audio()
        into = max(into, _difference(loop[first - 1], face.draw_next()))
        for _ in range(len(audio) * FPS // speech.sample_rate_hz - 1):
            last = face.draw_next()
        out = max(out, _difference(last, loop[face.idle_frame()]))
    return into / own, out / own


def _with_pause(speech: MarkedSpeech) -> NDArray[np.int16]:
    pause = np.zeros(round(_PAUSE_S * speech.sample_rate_hz), np.int16)
    return np.concatenate([speech.audio, pause])


def _difference(one: BgrImage, other: BgrImage) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def _shown(faces: list[FaceParameters]) -> NDArray[np.float64]:
    return np.array([[f.mouth.jaw * (1 - f.mouth.press), f.mouth.width] for f in faces])
