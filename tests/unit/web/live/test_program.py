"""The programme of a peer: idle, answer, idle; one clock; late media."""

from __future__ import annotations

import numpy as np
import pytest

from anima.avatar.v1.avatar_pb2 import Activity
from anima.common.v1.common_pb2 import AudioChunk, ChunkHeader, MediaChunk, VideoFrame
from gateway.webrtc.idle_loop import Crossing, IdleLoop
from gateway.webrtc.program import SOUND_TICKS, START_TICKS, Picture, Playing, Program
from gateway.webrtc.recoding import CodedPicture
from gateway.webrtc.talk import CLOCK_HZ

RATE_HZ = 24_000
FRAME_TICKS = CLOCK_HZ // 25
FRAME_SAMPLES = RATE_HZ // 25


def named_loop(name: str, activity: Activity.ValueType) -> IdleLoop:
    """A loop of 50 frames that encode their index, with a key frame each second."""
    pictures = tuple(CodedPicture(n % 25 == 0, f"{name} {n}".encode()) for n in range(50))
    return IdleLoop(pictures=pictures, frame_rate_hz=25, activity=activity)


def media(
    first: int, count: int, *, turn: str = "a", epoch: int = 0, pictures: bool = True
) -> MediaChunk:
    """Frames of an answer with a constant sound; a key frame each second."""
    start = first * FRAME_SAMPLES
    pcm = np.full(count * FRAME_SAMPLES, 1000, "<i2").tobytes()
    frames = [
        VideoFrame(
            start_sample=n * FRAME_SAMPLES,
            frame_number=n + 1,
            key_frame=n % 25 == 0,
            data=b"talk %d" % n,
        )
        for n in range(first, first + count)
    ]
    header = ChunkHeader(turn_id=turn, epoch=epoch)
    audio = AudioChunk(header=header, start_sample=start, sample_rate_hz=RATE_HZ, pcm=pcm)
    return MediaChunk(header=header, audio=audio, frames=frames if pictures else [])


class Viewer:
    """Runs a programme in virtual time and keeps its output."""

    def __init__(self, loop: IdleLoop | None = None) -> None:
        self.said: list[Playing] = []
        rest = loop or named_loop("idle", Activity.ACTIVITY_IDLE)
        self.program = Program(rest, changed=self.said.append)
        self.pictures: list[Picture] = []
        self.sound = np.zeros(0, np.int16)
        self._now = 0

    def watch(self, ms: int) -> None:
        end = self._now + ms * CLOCK_HZ // 1000
        while self._now < end:
            if self.program.sound_ticks <= self._now:
                self.sound = np.concatenate([self.sound, self.program.sound()])
            if (picture := self.program.picture(self._now)) is not None:
                self.pictures.append(picture)
            later = self.program.due_after(self._now)
            assert later > self._now
            self._now = later

    def names(self) -> list[str]:
        return [picture.data.decode() for picture in self.pictures]

    def ticks_of(self, name: str) -> int:
        return next(p.ticks for p in self.pictures if p.data.decode() == name)

    def sound_starts(self) -> int:
        return int(np.flatnonzero(self.sound > 500)[0])


def test_idle_loop_and_silence_never_stop() -> None:
    viewer = Viewer()
    viewer.watch(4_000)

    assert viewer.names() == [f"idle {n % 50}" for n in range(100)]
    assert np.diff([p.ticks for p in viewer.pictures]).tolist() == [FRAME_TICKS] * 99
    assert viewer.sound.size == 4 * CLOCK_HZ
    assert not viewer.sound.any()


def test_answer_begins_on_the_grid_with_picture_and_sound_together() -> None:
    viewer = Viewer()
    viewer.watch(500)
    asked_at = viewer.program.sound_ticks
    viewer.program.append(media(0, 1))
    viewer.program.append(media(1, 24))
    viewer.watch(1_000)

    start = viewer.ticks_of("talk 0")
    assert START_TICKS <= start - asked_at <= START_TICKS + FRAME_TICKS
    assert abs(viewer.sound_starts() - start) < 48  # within 1 ms: the resampler's ramp
    assert set(np.diff([p.ticks for p in viewer.pictures])) == {FRAME_TICKS}
    assert viewer.said[0].running
    assert viewer.said[0].turn_id == "a"


def test_loop_goes_on_at_the_named_frame() -> None:
    viewer = Viewer()
    viewer.program.append(media(0, 25))
    viewer.program.finish("a", 25)
    viewer.watch(3_000)

    names = viewer.names()
    last = names.index("talk 24")
    assert names[last + 1 : last + 4] == ["idle 25", "idle 26", "idle 27"]
    assert viewer.said[-1].done
    assert viewer.said[-1].sample == 25 * FRAME_SAMPLES
    assert set(np.diff([p.ticks for p in viewer.pictures])) == {FRAME_TICKS}


def test_without_an_entry_the_nearest_key_frame_is_taken() -> None:
    viewer = Viewer()
    viewer.program.append(media(0, 25))
    viewer.program.finish("a", 45)
    viewer.watch(3_000)

    names = viewer.names()
    assert names[names.index("talk 24") + 1] == "idle 0"


def test_sound_and_pictures_wait_together_when_media_is_late() -> None:
    viewer = Viewer()
    viewer.program.append(media(0, 5))
    viewer.watch(400)
    viewer.program.append(media(5, 20))
    viewer.watch(1_500)

    shift = viewer.ticks_of("talk 5") - viewer.ticks_of("talk 4") - FRAME_TICKS
    gap = np.flatnonzero(viewer.sound > 500)
    assert shift > 0
    assert np.diff(gap).max() == pytest.approx(shift, abs=SOUND_TICKS)
    assert [playing.running for playing in viewer.said[:3]] == [True, False, True]
    assert viewer.said[2].underruns == 1


def test_answer_that_ran_dry_goes_on_only_when_enough_has_come() -> None:
    viewer = Viewer()
    viewer.program.append(media(0, 2))
    viewer.watch(300)
    for frame in range(2, 12):
        viewer.program.append(media(frame, 1))
        viewer.watch(60)  # slower than real time
    viewer.program.finish("a", 0)
    viewer.watch(1_000)

    assert viewer.said[-1].done
    assert viewer.said[-1].underruns <= 2


def test_interruption_fades_within_a_packet_and_goes_back_to_idle() -> None:
    viewer = Viewer()
    viewer.program.append(media(0, 50))
    viewer.watch(600)
    before = viewer.sound.size
    frame = viewer.program.interrupt()
    viewer.watch(1_000)

    after = viewer.sound[before:]
    assert frame is not None
    assert after[:SOUND_TICKS].max() > 500
    assert not after[SOUND_TICKS:].any()
    assert viewer.names()[-1].startswith("idle")


def test_interrupted_answer_that_was_not_heard_leaves_nothing() -> None:
    viewer = Viewer()
    viewer.program.append(media(0, 5))
    assert viewer.program.interrupt() is None
    viewer.watch(1_000)

    assert not viewer.sound.any()
    assert all(name.startswith("idle") for name in viewer.names())
    assert viewer.said == []


def test_voice_without_pictures_is_heard_over_the_loop() -> None:
    viewer = Viewer()
    viewer.program.append(media(0, 25, pictures=False))
    viewer.program.finish("a", None)
    viewer.watch(1_500)

    assert viewer.sound.any()
    assert set(np.diff([p.ticks for p in viewer.pictures])) == {FRAME_TICKS}
    assert all(name.startswith("idle") for name in viewer.names())
    assert viewer.said[-1].done


def test_held_answer_goes_on_where_it_was() -> None:
    viewer = Viewer()
    viewer.program.append(media(0, 25))
    viewer.watch(400)
    viewer.program.hold(True)
    silent_from = viewer.sound.size
    viewer.watch(500)
    silent_to = viewer.sound.size
    viewer.program.hold(False)
    viewer.program.finish("a", 0)
    viewer.watch(1_500)

    talk = [name for name in viewer.names() if name.startswith("talk")]
    assert not viewer.sound[silent_from:silent_to].any()
    assert talk == [f"talk {n}" for n in range(25)]
    assert viewer.said[-1].sample == 25 * FRAME_SAMPLES


def test_look_changes_between_answers_and_an_answer_ends_at_rest() -> None:
    viewer = Viewer()
    rest = viewer.program.idle_loop
    listening = named_loop("listen", Activity.ACTIVITY_LISTENING)
    crossing = Crossing(
        before=rest,
        after=listening,
        first=13,
        pictures=tuple(CodedPicture(n == 13, b"cross %d" % n) for n in range(13, 25)),
    )
    assert viewer.program.next_crossing(listening) == 25
    assert viewer.program.cross(crossing)
    viewer.watch(2_000)
    viewer.program.append(media(0, 25))
    viewer.program.finish("a", 25)
    viewer.watch(3_000)

    names = viewer.names()
    assert names[:13] == [f"idle {n}" for n in range(13)]
    assert names[13:25] == [f"cross {n}" for n in range(13, 25)]
    assert names[25:50] == [f"listen {n}" for n in range(25, 50)]
    assert names[names.index("talk 24") + 1] == "idle 25"
    assert set(np.diff([p.ticks for p in viewer.pictures])) == {FRAME_TICKS}


def test_look_does_not_change_within_an_answer() -> None:
    viewer = Viewer()
    crossing = Crossing(
        before=viewer.program.idle_loop,
        after=named_loop("listen", Activity.ACTIVITY_LISTENING),
        first=13,
        pictures=(CodedPicture(True, b"cross"),),
    )
    viewer.program.append(media(0, 25))
    viewer.watch(300)

    assert viewer.program.answering
    assert not viewer.program.cross(crossing)


def test_next_answer_waits_for_the_end_of_the_one_before() -> None:
    viewer = Viewer()
    viewer.program.append(media(0, 10))
    viewer.program.finish("a", 3)
    viewer.program.append(media(0, 10, turn="b"))
    viewer.program.finish("b", 3)
    viewer.watch(2_000)

    done = [playing.turn_id for playing in viewer.said if playing.done]
    assert done == ["a", "b"]
    assert viewer.names().count("talk 9") == 2


def test_pictures_that_cannot_be_decoded_are_not_sent() -> None:
    viewer = Viewer()
    viewer.program.append(media(20, 20))  # the key frame is number 25
    viewer.watch(2_000)

    talk = [name for name in viewer.names() if name.startswith("talk")]
    assert talk[0] == "talk 25"
