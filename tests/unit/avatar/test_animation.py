from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from services.avatar.animation.animation import Animator
from services.avatar.animation.idle import IdleMotion
from services.avatar.animation.parameters import FaceParameters, MouthShape
from services.avatar.engine import Activity, VisemeSpan
from tests.unit.avatar.speech import AA, FF, IH, OU, PP, RATE, SIL, noise, silence, spans, vowel

FPS = 25
CLOSED = MouthShape()


def animate(
    marks: list[VisemeSpan],
    audio: NDArray[np.int16],
    *,
    idle_frame: int = 0,
    seed: str = "turn",
    fps: int = FPS,
) -> list[FaceParameters]:
    animator = Animator(sample_rate_hz=RATE, frame_rate_hz=fps, idle_frame=idle_frame, seed=seed)
    animator.add_visemes(marks)
    animator.add_audio(audio)
    animator.end_audio()
    return [animator.next() for _ in range(len(audio) * fps // RATE)]


def test_silence_keeps_the_mouth_closed_and_still_by_marks_and_by_sound() -> None:
    for marks in ([], spans((SIL, 2))):
        assert {face.mouth for face in animate(marks, silence(2))} == {CLOSED}


def test_a_hum_below_the_threshold_is_silence() -> None:
    assert {face.mouth for face in animate([], noise(2, rms=25))} == {CLOSED}


def test_the_mouth_opens_in_vowels_and_is_exactly_closed_soon_after() -> None:
    faces = animate(spans((SIL, 0.4), (AA, 0.4), (SIL, 0.8)), silence(1.6))
    jaw = [face.mouth.jaw for face in faces]
    assert jaw[:8] == [0] * 8
    assert max(jaw) > 0.75
    assert min(jaw[12:18]) > 0.65
    assert {face.mouth for face in faces[25:]} == {CLOSED}


def test_the_mouth_leads_the_sound_by_no_more_than_two_frames() -> None:
    jaw = [
        face.mouth.jaw for face in animate(spans((SIL, 0.4), (AA, 0.4), (SIL, 0.4)), silence(1.2))
    ]
    first = next(i for i, value in enumerate(jaw) if value > 0.05)
    assert 8 <= first <= 10, "sound begins with frame 10"


@pytest.mark.parametrize("length_s", [0.03, 0.05, 0.08, 0.12])
@pytest.mark.parametrize("offset_s", [0.0, 0.013, 0.027])
def test_lips_close_in_every_closure_however_short(length_s: float, offset_s: float) -> None:
    marks = spans((AA, 0.4 + offset_s), (PP, length_s), (AA, 0.4))
    faces = animate(marks, silence(0.9 + length_s))
    start, end = 0.4 + offset_s - 0.04, 0.4 + offset_s + length_s + 0.04
    near = [f.mouth for i, f in enumerate(faces) if start <= i / FPS < end]
    closed = [mouth for mouth in near if mouth.jaw == 0 and mouth.press == 1]
    assert closed
    assert len(closed) <= length_s * FPS + 1
    assert max(f.mouth.jaw for f in faces[:9]) > 0.75
    assert max(f.mouth.jaw for f in faces[13:]) > 0.75


def test_visemes_shape_the_mouth() -> None:
    def held(viseme: int) -> MouthShape:
        return animate(spans((viseme, 0.6)), silence(0.6))[8].mouth

    assert held(IH).width > 0.5 > held(IH).jaw
    assert held(OU).rounding > 0.75
    assert held(FF).tuck > 0.9
    assert held(AA).jaw > 2 * held(OU).jaw


def test_without_marks_the_mouth_follows_the_sound() -> None:
    audio = np.concatenate([silence(0.4), vowel(0.4), silence(0.4), vowel(0.4), silence(0.6)])
    jaw = np.array([face.mouth.jaw for face in animate([], audio)])
    opening = np.array(
        [np.abs(part.astype(float)).mean() for part in np.split(audio[: len(jaw) * 640], len(jaw))]
    )
    assert jaw[12:18].max() > 0.4
    assert jaw[32:38].max() > 0.4
    assert jaw[:8].max() == 0
    assert jaw[-8:].max() == 0
    assert np.corrcoef(jaw, opening)[0, 1] > 0.7


@pytest.mark.parametrize("level", [0.1, 0.3])
def test_without_marks_lips_close_where_the_sound_says_so(level: float) -> None:
    """A nasal murmur between two vowels: low, with nothing above 300 Hz."""
    t = np.arange(round(0.1 * RATE)) / RATE
    murmur = np.asarray(0.12 * level * 32767 * np.sin(2 * np.pi * 240 * t), np.int16)
    audio = np.concatenate([vowel(0.4, level=level), murmur, vowel(0.4, level=level)])
    mouths = [face.mouth for face in animate([], audio)]
    assert max(mouth.press for mouth in mouths[9:13]) > 0.6
    assert min(mouth.jaw * (1 - mouth.press) for mouth in mouths[9:13]) < 0.05
    assert max(mouth.press for mouth in mouths[2:8] + mouths[16:20]) < 0.1


@pytest.mark.parametrize("level", [0.05, 0.2, 0.9])
def test_quiet_and_loud_speakers_open_the_mouth_alike(level: float) -> None:
    jaw = [face.mouth.jaw for face in animate([], vowel(3, level=level))]
    assert max(jaw) > 0.35


def test_two_visemes_give_no_jitter() -> None:
    jaw = np.array([face.mouth.jaw for face in animate(spans((IH, 1), (AA, 1)), silence(2))])
    turns = np.sum(np.diff(np.sign(np.diff(jaw)[np.abs(np.diff(jaw)) > 1e-3])) != 0)
    assert turns <= 2


def test_the_same_turn_moves_alike_and_another_one_differently() -> None:
    audio = vowel(12)
    first, again, other = (animate([], audio, seed=seed) for seed in ("a", "a", "b"))
    assert first == again
    assert first != other


def test_blinks_are_two_to_six_seconds_apart() -> None:
    faces = animate([], noise(60, rms=3000))
    closed = [face.blink > 0.9 for face in faces]
    starts = [i for i in range(1, len(closed)) if closed[i] and not closed[i - 1]]
    gaps = np.diff(starts) / FPS
    assert len(starts) >= 12
    assert gaps.min() >= 1.9
    assert gaps.max() <= 6


def test_the_idle_motion_is_periodic_and_begins_neutral() -> None:
    motion = IdleMotion(frame_rate_hz=FPS)
    assert motion.at(0) == FaceParameters()
    assert motion.at(motion.frame_count) == motion.at(0)
    last, first, second = (motion.at(i).head for i in (motion.frame_count - 1, 0, 1))
    assert abs(first.x - last.x) == pytest.approx(abs(second.x - first.x), abs=0.2)


@pytest.mark.parametrize("idle_frame", [0, 57, 199, 4711])
def test_a_turn_begins_and_ends_in_poses_of_the_loop(idle_frame: int) -> None:
    animator = Animator(sample_rate_hz=RATE, frame_rate_hz=FPS, idle_frame=idle_frame, seed="x")
    audio = vowel(3)
    animator.add_audio(audio)
    animator.end_audio()
    faces = [animator.next() for _ in range(75)]
    motion = IdleMotion(frame_rate_hz=FPS)
    assert animator.idle_frame() == (idle_frame + 75) % 200
    steps = [
        abs(motion.at(i + 1).head.pitch - motion.at(i).head.pitch)
        for i in range(motion.frame_count)
    ]
    start, end = motion.at(idle_frame).head, motion.at(idle_frame + 74).head
    assert abs(faces[0].head.pitch - start.pitch) < 1.5 * max(steps)
    assert abs(faces[-1].head.pitch - end.pitch) < 1.5 * max(steps)
    assert faces[-1].mouth.jaw < 0.05


def test_memory_stays_bounded_over_a_long_turn() -> None:
    animator = Animator(sample_rate_hz=RATE, frame_rate_hz=FPS, idle_frame=0, seed="x")
    for second in range(120):
        start = second * RATE
        animator.add_visemes([VisemeSpan(viseme=AA, start_sample=start, sample_count=RATE)])
        animator.add_audio(silence(1))
        for _ in range(FPS):
            animator.next()
    assert len(animator._mouth._spans) < 5
    assert len(animator._sound._levels) < 300


def test_the_mouth_is_closed_by_the_end_even_if_the_speech_is_cut_off() -> None:
    jaw = [face.mouth.jaw for face in animate(spans((AA, 1)), vowel(1))]
    assert jaw[-5] > 0.7
    assert jaw[-1] == 0


def test_marks_that_come_late_are_followed_from_then_on() -> None:
    animator = Animator(sample_rate_hz=RATE, frame_rate_hz=FPS, idle_frame=0, seed="x")
    animator.add_audio(silence(1))
    before = [animator.next().mouth for _ in range(10)]
    animator.add_visemes(spans((AA, 1)))
    after = [animator.next().mouth.jaw for _ in range(10)]
    assert set(before) == {CLOSED}
    assert after[-1] > 0.75
    assert max(abs(b - a) for a, b in pairwise([0, *after])) < 0.9


@pytest.mark.parametrize("marked", [True, False])
def test_the_face_is_the_same_however_the_speech_arrives(marked: bool) -> None:
    parts = [(SIL, 0.3), (AA, 0.3), (PP, 0.1), (IH, 0.4), (SIL, 0.4), (OU, 0.5), (SIL, 0.4)]
    marks = spans(*parts) if marked else []
    audio = np.concatenate([silence(s) if v == SIL else vowel(s) for v, s in parts])
    whole = animate(marks, audio)
    animator = Animator(sample_rate_hz=RATE, frame_rate_hz=FPS, idle_frame=0, seed="turn")
    drip: list[FaceParameters] = []
    waiting = list(marks)
    for start in range(0, len(audio), 160):
        while waiting and waiting[0].start_sample < start + 3200:
            animator.add_visemes([waiting.pop(0)])
        animator.add_audio(audio[start : start + 160])
        added = marks[: len(marks) - len(waiting)]
        known = max([start + 160, *(span.end_sample for span in added)])
        heard = min(known - animator.look_ahead_samples, start + 160 - RATE // FPS)
        while len(drip) * RATE // FPS <= heard:
            drip.append(animator.next())
    animator.end_audio()
    drip += [animator.next() for _ in range(len(whole) - len(drip))]
    assert drip == whole


def test_the_head_nods_with_the_stress_and_the_brows_rise() -> None:
    def pitch(stress: int) -> list[float]:
        marks = [
            VisemeSpan(
                viseme=AA,
                start_sample=i * RATE // 5,
                sample_count=RATE // 5,
                stress=stress if i == 8 else 0,
            )
            for i in range(15)
        ]
        return [face.head.pitch + face.brow for face in animate(marks, silence(3))]

    more = np.array(pitch(2)) - np.array(pitch(0))
    assert np.abs(more[:39]).max() < 1e-9
    assert more[40:48].max() > 0.4
    assert 40 <= int(more.argmax()) <= 46


def test_in_silence_nothing_moves_but_the_loop() -> None:
    motion = IdleMotion(frame_rate_hz=FPS)
    for marks in ([], spans((SIL, 8))):
        assert animate(marks, silence(8)) == [motion.at(i) for i in range(200)]


@pytest.mark.parametrize("activity", [Activity.LISTENING, Activity.THINKING])
def test_listening_and_thinking_repeat_without_a_jump_and_show(activity: Activity) -> None:
    idle, motion = (IdleMotion(frame_rate_hz=FPS, activity=a) for a in (Activity.IDLE, activity))
    assert motion.at(0) == FaceParameters()
    faces = [motion.at(i) for i in range(motion.frame_count + 1)]
    steps = np.abs(
        np.diff([[f.head.pitch, f.head.roll_deg, f.gaze_y, f.brow] for f in faces], axis=0)
    )
    assert steps[-1].max() < 0.05
    assert steps.max() < 0.25
    middle = faces[90]
    assert middle.brow > 0.15
    if activity is Activity.THINKING:
        assert middle.gaze_y < -0.4 < 0.4 < middle.gaze_x
        assert sum(f.blink > 0.5 for f in faces) > sum(idle.at(i).blink > 0.5 for i in range(200))
    else:
        assert max(f.head.pitch for f in faces) > 0.5
        assert middle.gaze_x == 0


@pytest.mark.parametrize("activity", [Activity.LISTENING, Activity.THINKING])
def test_a_turn_begins_in_the_loop_that_was_seen_and_ends_in_the_idle_one(
    activity: Activity,
) -> None:
    animator = Animator(
        sample_rate_hz=RATE, frame_rate_hz=FPS, idle_frame=100, seed="x", activity=activity
    )
    animator.add_audio(silence(2))
    animator.end_audio()
    faces = [animator.next() for _ in range(50)]
    assert faces[0] == IdleMotion(frame_rate_hz=FPS, activity=activity).at(100)
    assert faces[-1] == IdleMotion(frame_rate_hz=FPS).at(149)
    assert max(abs(b.gaze_y - a.gaze_y) for a, b in pairwise(faces)) < 0.2
