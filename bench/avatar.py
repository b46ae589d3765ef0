"""Speed and quality of the face: python -m bench.avatar [--seconds 8] [--speed-only]."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from bench.faces.avatar_subjects import open_engine
from bench.faces.face_quality import print_quality
from bench.faces.marked_speech import speak
from bench.goals import Goals
from services.avatar.drawing import DrawnStream
from services.avatar.engine import VideoSpec, VisemeSpan
from services.avatar.engines.painted import PaintedFaces
from services.avatar.photo.networks import MODEL, FaceNetworks
from services.avatar.settings import AvatarSettings
from services.avatar.turn import Turn
from services.avatar.video.clock import FrameClock
from services.avatar.video.x264 import X264Encoder
from services.runtime.process.compute import Compute

RATE_HZ = 24_000
LEAST_FRAMES_PER_S = 100
FORMATS = (
    VideoSpec(width_px=512, height_px=512, frame_rate_hz=25),
    VideoSpec(width_px=720, height_px=1280, frame_rate_hz=25),
    VideoSpec(width_px=1920, height_px=1080, frame_rate_hz=25),
)


def speech(seconds: int) -> tuple[list[VisemeSpan], np.ndarray[tuple[int], np.dtype[np.int16]]]:
    """Returns twelve visemes a second, never the same twice, so that no frame is cached."""
    random = np.random.default_rng(7)
    length = RATE_HZ // 12
    visemes = random.integers(2, 16, seconds * 12)
    spans = [
        VisemeSpan(viseme=int(viseme), start_sample=i * length, sample_count=length)
        for i, viseme in enumerate(visemes)
    ]
    return spans, random.normal(0, 3000, seconds * RATE_HZ).astype(np.int16)


async def frames_per_s(
    engine: PaintedFaces, avatar: str, video: VideoSpec, seconds: int
) -> tuple[float, float]:
    """Returns the frames per second on one core, and the bit rate of the stream, Mbit/s."""
    settings = AvatarSettings()
    clock = FrameClock(sample_rate_hz=RATE_HZ, frame_rate_hz=video.frame_rate_hz)
    face = engine.open_stream(
        avatar=avatar, video=video, sample_rate_hz=RATE_HZ, turn_id="bench", idle_frame=0
    )
    compute = Compute(threads=1, name="bench")
    encoder = X264Encoder(video, preset=settings.encoder_preset)
    turn = Turn(DrawnStream(face, compute), encoder, clock, compute)
    spans, audio = speech(seconds)
    size = 0
    began = time.process_time()
    turn.add_visemes(spans)
    turn.add_audio(audio, 1)
    turn.end()
    while count := turn.ready_frames():
        size += sum(len(frame.data) for frame in (await turn.render(count)).frames)
    spent = time.process_time() - began
    compute.close()
    return turn.frame_count / spent, size * 8 / seconds / 1e6


def print_speed(engine: PaintedFaces, avatar: str, seconds: int, goals: Goals) -> None:
    """Prints how fast an avatar is drawn and encoded."""
    print(f"\n{avatar:12} frames/s on one core   real-time factor   Mbit/s")
    for video in FORMATS:
        rate, megabits = asyncio.run(frames_per_s(engine, avatar, video, seconds))
        size = f"{video.width_px}x{video.height_px}"
        print(f"{size:12} {rate:22.0f} {video.frame_rate_hz / rate:18.3f} {megabits:8.2f}")
        if video is FORMATS[0]:
            goals.at_least(f"{avatar}, {size}, frames/s", rate, LEAST_FRAMES_PER_S, form=".0f")


def main() -> None:
    """Runs from the command line; exits with 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="seconds of speech per format")
    parser.add_argument("--speed-only", action="store_true", help="skip the quality figures")
    parser.add_argument("--no-goals", action="store_true", help="do not fail on missed goals")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    goals = Goals()
    with tempfile.TemporaryDirectory() as folder:
        engine, subjects = open_engine(Path(folder))
        for subject in subjects:
            print_speed(engine, subject.name, arguments.seconds, goals)
        if not arguments.speed_only:
            networks = FaceNetworks(Path(folder) / "models" / MODEL)
            print_quality(engine, subjects, speak(), networks, goals)
    if not arguments.no_goals:
        goals.exit_if_missed()


if __name__ == "__main__":
    main()
