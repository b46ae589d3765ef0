"""How good the face is, in figures: silence, closures, vowels, joins, and the lag of the lips."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.lip_sync_lag import lag_and_confidence, mel_energies
from bench.marked_speech import VOICES, MarkedSpeech, animate, speak
from services.avatar.engine import BgrImage, VideoSpec
from services.avatar.engines.portrait import PortraitEngine
from services.avatar.package import Manifest
from services.avatar.parameters import FaceParameters
from services.avatar.rendering.mouth import GAP_AT_FULL_JAW

FPS = 25
_PP, _VOWELS = 2, (11, 12, 14)
_CLOSED = 0.01
_PAUSE_S = 0.25
"""What the speech service puts after a sentence."""


def opening(face: FaceParameters, manifest: Manifest) -> float:
    """The distance of the lips in face heights."""
    mouth = face.mouth
    gap = GAP_AT_FULL_JAW * manifest.mouth.half_width * mouth.jaw * (1 - 0.2 * mouth.width)
    return gap * (1 - min(1.0, mouth.press)) / manifest.head.height


def _in_silence(manifest: Manifest) -> float:
    """The widest opening while nothing is said: digital silence, and a room 60 dB down."""
    room = np.random.default_rng(3).normal(0, 32, 16_000 * 20).astype(np.int16)
    silent = [np.zeros_like(room), room]
    heard = [MarkedSpeech(voice="", sample_rate_hz=16_000, audio=a, spans=[]) for a in silent]
    return max(opening(f, manifest) for s in heard for f in animate(s, marked=False))


def _near(
    speech: MarkedSpeech, viseme: tuple[int, ...], openings: list[float]
) -> list[list[float]]:
    """The openings round each span of a viseme, one frame early to its end."""
    found = []
    for span in speech.spans:
        if span.viseme in viseme:
            first = int((span.start_sample / speech.sample_rate_hz - 0.04) * FPS)
            last = int(np.ceil(span.end_sample / speech.sample_rate_hz * FPS))
            found.append(openings[max(0, first) : last + 1])
    return [part for part in found if part]


def _with_pause(speech: MarkedSpeech) -> NDArray[np.int16]:
    pause = np.zeros(round(_PAUSE_S * speech.sample_rate_hz), np.int16)
    return np.concatenate([speech.audio, pause])


def _joins(engine: PortraitEngine, avatar: str, spoken: list[MarkedSpeech]) -> tuple[float, float]:
    """The largest frame difference from idle to talk and back, in the loop's own largest."""
    video = VideoSpec(width_px=512, height_px=512, frame_rate_hz=FPS)
    loop = [frame.copy() for frame in engine.idle_loop(avatar=avatar, video=video)]
    own = max(_difference(a, b) for a, b in pairwise([*loop, loop[0]]))
    into, out = 0.0, 0.0
    for first, speech in zip(range(0, 200, 25), spoken, strict=False):
        audio = _with_pause(speech)
        face = engine.open_stream(
            avatar=avatar,
            video=video,
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


def _difference(one: BgrImage, other: BgrImage) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def _print_lags(spoken: list[MarkedSpeech]) -> None:
    for voice in VOICES:
        said = [speech for speech in spoken if speech.voice == voice]
        if not said:
            continue
        sound = np.vstack([mel_energies(s.audio, s.sample_rate_hz, FPS) for s in said])
        for marked in (True, False):
            faces = [face for s in said for face in animate(s, marked=marked)]
            mouth = np.array([[f.mouth.jaw * (1 - f.mouth.press), f.mouth.width] for f in faces])
            lag, r, confidence = lag_and_confidence(sound, mouth)
            by = "marks" if marked else "sound"
            print(
                f"lag {voice:13} by {by}: {lag:+d} frames (r {r:.2f}, confidence {confidence:.2f}, "
                f"{len(faces) / FPS:.0f} s)"
            )


def print_quality(engine: PortraitEngine, manifests: list[Manifest]) -> None:
    """Prints all figures for the given avatars."""
    manifest = manifests[0]
    print(f"opening in silence: {_in_silence(manifest):.4f} of the face height (below 0.01)")
    spoken = speak()
    openings: dict[bool, list[list[float]]] = {
        marked: [[opening(f, manifest) for f in animate(s, marked=marked)] for s in spoken]
        for marked in (True, False)
    }
    for marked, lines in openings.items():
        closures = [p for s, o in zip(spoken, lines, strict=True) for p in _near(s, (_PP,), o)]
        vowels = [p for s, o in zip(spoken, lines, strict=True) for p in _near(s, _VOWELS, o)]
        closed = np.mean([min(part) < _CLOSED for part in closures])
        jerk = np.mean([np.abs(np.diff(line, 2)).mean() for line in lines])
        by = "marks" if marked else "sound"
        wide = np.mean([max(part) for part in vowels])
        print(f"by {by}: {closed:.0%} of {len(closures)} closures closed (at least 95 by marks)")
        print(f"by {by}: open vowels {wide:.3f} of the face height, second difference {jerk:.4f}")
    flat = {marked: np.concatenate(lines) for marked, lines in openings.items()}
    r = np.corrcoef(flat[True], flat[False])[0, 1]
    by_marks, by_sound = flat[True].mean(), flat[False].mean()
    print(f"mean opening by marks {by_marks:.3f}, by sound {by_sound:.3f}, r {r:.2f}")
    for one in manifests:
        into, out = _joins(engine, one.name, spoken)
        print(f"{one.name}: idle to talk {into:.2f}, back {out:.2f} of the loop's largest step")
    _print_lags(spoken)
