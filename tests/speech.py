"""The recordings for tests: a test that needs them is skipped where they are missing."""

from __future__ import annotations

from testing.speech import recordings
from testing.speech.recordings import RATE_HZ, Recording, quiet_room, with_silence
from tests.requirements import need

__all__ = ["RATE_HZ", "Recording", "quiet_room", "with_silence"]


def card_commands() -> list[Recording]:
    need("pocketsphinx-testdata")
    return recordings.card_commands()


def read_novel() -> list[Recording]:
    need("pocketsphinx-testdata")
    return recordings.read_novel()


def robot_commands() -> list[Recording]:
    need("pocketsphinx-testdata")
    return recordings.robot_commands()


def go_forward() -> Recording:
    need("pocketsphinx-testdata")
    return recordings.go_forward()


def all_recordings() -> list[Recording]:
    need("pocketsphinx-testdata")
    return recordings.all_recordings()
