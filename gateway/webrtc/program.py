"""The programme of a peer: the idle loop, and answers between its frames, on one clock.

Nothing here waits or depends on WebRTC: a pump requests the media that is due. Audio never stops
(silence between answers), and video never stops (the idle loop). An answer that runs dry pauses
both audio and video, so that they stay in sync.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anima.common.v1.common_pb2 import MediaChunk
from gateway.webrtc.idle_loop import Crossing, IdleCursor, IdleLoop
from gateway.webrtc.talk import CLOCK_HZ, Talk

SOUND_TICKS = 960
"""A packet of Opus: 20 ms."""
START_TICKS = 60 * CLOCK_HZ // 1000
"""The delay from an answer's first media to its start, so that later media arrives in time."""
_FREEZE_TICKS = 400 * CLOCK_HZ // 1000
_ENTRY_TICKS = 160 * CLOCK_HZ // 1000
_FADE_TICKS = SOUND_TICKS
_CROSSING_LEAD_S = 0.2
"""The time in which a crossing must be made."""


@dataclass(frozen=True, kw_only=True)
class Playing:
    """The playback state of an answer, from now on.

    Attributes:
        turn_id: The turn.
        epoch: Of the session.
        sample: The sample that is sent now, on the turn's own clock.
        sample_rate_hz: The rate of that clock.
        running: False: it is paused.
        done: True: all of it has been sent.
        underruns: The number of times that it ran dry so far.
    """

    turn_id: str
    epoch: int
    sample: int
    sample_rate_hz: int
    running: bool
    done: bool = False
    underruns: int = 0


@dataclass(frozen=True)
class Picture:
    """An access unit and its presentation time."""

    ticks: int
    data: bytes


class Program:
    """The programme of one peer.

    Args:
        loop: The loop that is shown between answers.
        changed: Called when an answer starts, pauses, resumes or ends.

    Attributes:
        sound_ticks: The time at which the next audio is due.
    """

    def __init__(self, loop: IdleLoop, *, changed: Callable[[Playing], None]) -> None:
        self.sound_ticks = 0
        self._changed = changed
        self._idle = IdleCursor(loop)
        self._idle_ticks = CLOCK_HZ // loop.frame_rate_hz
        self._talks: deque[Talk] = deque()
        self._held = False
        self._fading: NDArray[np.int16] = np.zeros(0, np.int16)
        self._in_talk = False
        self._shown_ticks = -self._idle_ticks
        self._idle_frame_before = 0
        self._enter_at: int | None = None
        self._enter_from = 0

    def due_after(self, now_ticks: int) -> int:
        """Returns when the next media is due, later than now; audio at the latest."""
        picture: int | None = self._shown_ticks + self._idle_ticks
        if self._talk_is_on(now_ticks):
            picture = self._talks[0].next_picture_ticks() if self._in_talk else picture
        if picture is None or picture <= now_ticks:
            return self.sound_ticks
        return min(self.sound_ticks, picture)

    @property
    def idle_loop(self) -> IdleLoop:
        """The loop in which answers end."""
        return self._idle.rest

    @property
    def shown_loop(self) -> IdleLoop:
        """The loop that is shown between answers, or is about to be."""
        return self._idle.loop

    @property
    def idle_frame(self) -> int:
        """The frame of the loop that is shown next, or at which an answer was started."""
        return self._idle_frame_before if self._in_talk else self._idle.frame

    @property
    def playing_turn(self) -> str | None:
        """The turn whose media is here; None if there is none."""
        return self._talks[-1].turn_id if self._talks else None

    @property
    def answering(self) -> bool:
        """True if video of an answer is shown."""
        return self._in_talk

    def next_crossing(self, loop: IdleLoop) -> int:
        """Returns the next key frame of a loop before which a crossing to it can end."""
        lead_frames = round(_CROSSING_LEAD_S * loop.frame_rate_hz)
        return self._idle.next_crossing(loop, lead_frames=lead_frames)

    def cross(self, crossing: Crossing) -> bool:
        """Changes the look between answers; returns False if it is too late."""
        return not self._in_talk and self._idle.cross(crossing)

    def show_idle(self, loop: IdleLoop) -> None:
        """Shows another loop from its start."""
        self._idle = IdleCursor(loop)
        self._idle_ticks = CLOCK_HZ // loop.frame_rate_hz
        self._enter_at = None

    def append(self, chunk: MediaChunk) -> None:
        """Takes media of an answer, in order."""
        talk = self._talks[-1] if self._talks else None
        if talk is None or (talk.turn_id, talk.epoch) != (chunk.header.turn_id, chunk.header.epoch):
            if talk is not None:
                talk.finish(talk.idle_frame)
            talk = Talk(chunk, start_ticks=self.sound_ticks + START_TICKS)
            # Aligned to the loop's frames, so that its last frame is shown as long as the others.
            late = (talk.start_ticks - self._shown_ticks) % self._idle_ticks
            talk.start_ticks += (self._idle_ticks - late) % self._idle_ticks
            self._talks.append(talk)
        talk.append(chunk)

    def finish(self, turn_id: str, idle_frame: int | None = None) -> int | None:
        """Reports that an answer has no more media.

        Args:
            turn_id: The answer; one that is not the newest is already over.
            idle_frame: The frame at which the loop continues after it; None: calculated.

        Returns:
            The frame of the loop that follows, whose entry is needed; None if none was shown.
        """
        talk = self._talks[-1] if self._talks else None
        if talk is None or talk.turn_id != turn_id:
            return None
        if idle_frame is None:
            idle_frame = self.idle_frame + talk.frames
        talk.finish(idle_frame % len(self.idle_loop.pictures))
        return talk.idle_frame if talk.frames else None

    def progress(self) -> Playing | None:
        """Returns the playback state of the current answer; None if there is none."""
        talk = self._talks[0] if self._talks else None
        if talk is None or not talk.begun:
            return None
        return self._playing(talk, running=not self._held and not talk.starved)

    def hold(self, held: bool) -> None:
        """Pauses or resumes the answer."""
        changes = self._held != held and bool(self._talks)
        self._held = held and bool(self._talks)
        if changes:
            self._tell(running=not held)

    def interrupt(self) -> int | None:
        """Drops all answers; the audio fades out within 20 ms.

        Returns:
            The frame of the loop that follows, whose entry is needed; None if none was shown.
        """
        talks, self._talks, self._held = self._talks, deque(), False
        if not talks:
            return None
        talk = talks[0]
        if talk.begun:
            left = talk.take_sound(_FADE_TICKS).astype(np.float32)
            self._fading = (left * np.linspace(1, 0, len(left))).astype(np.int16)
        return self._leave(talk)

    def sound(self) -> NDArray[np.int16]:
        """Returns the next 20 ms of audio: shape [960], mono int16 at 48 kHz."""
        at, self.sound_ticks = self.sound_ticks, self.sound_ticks + SOUND_TICKS
        out = np.zeros(SOUND_TICKS, np.int16)
        out[: self._fading.size] = self._fading
        self._fading = self._fading[:0]
        while self._talks and self._talks[0].start_ticks < at + SOUND_TICKS:
            talk = self._talks[0]
            if self._held:
                talk.start_ticks += SOUND_TICKS
                break
            first = 0 if talk.begun else max(0, talk.start_ticks - at)
            begun = talk.begun
            piece = talk.take_sound(SOUND_TICKS - first)
            out[first : first + len(piece)] = piece
            if not talk.over:
                self._keep_clock(talk, missing=SOUND_TICKS - first - len(piece))
                if talk.begun and not begun:
                    self._tell(running=True)
                break
            self._tell(running=False, done=True)
            self._talks.popleft()
            self._leave(talk)
            if self._talks:
                self._talks[0].start_ticks = max(self._talks[0].start_ticks, at + SOUND_TICKS)
        return out

    def picture(self, now_ticks: int) -> Picture | None:
        """Returns the frame that is due by now; None if none is."""
        if self._talk_is_on(now_ticks):
            talk = self._talks[0]
            data = talk.take_picture(now_ticks, only_key_frame=not self._in_talk)
            if data is not None:
                if not self._in_talk:
                    self._in_talk, self._idle_frame_before = True, self._idle.frame
                    self._idle.leave()
                return self._show(now_ticks, data)
            frozen = self._held or now_ticks - self._shown_ticks < _FREEZE_TICKS
            if self._in_talk and frozen:
                return None
            if self._in_talk:
                self._leave(talk)
        if now_ticks < self._shown_ticks + self._idle_ticks or not self._entered(now_ticks):
            return None
        return self._show(now_ticks, self._idle.next())

    def _talk_is_on(self, now_ticks: int) -> bool:
        return bool(self._talks) and self._talks[0].start_ticks <= now_ticks

    def _show(self, ticks: int, data: bytes) -> Picture:
        self._shown_ticks = ticks
        return Picture(ticks, data)

    def _entered(self, now_ticks: int) -> bool:
        """Returns to the loop; waits briefly for an entry that is being made."""
        if self._enter_at is None:
            return True
        waited = now_ticks - self._shown_ticks >= _ENTRY_TICKS
        if self.idle_loop.entry(self._enter_at) is None and not waited:
            return False
        self._idle.enter(self._enter_at)
        self._enter_at = None
        return True

    def _leave(self, talk: Talk) -> int | None:
        if not self._in_talk:
            return None
        self._in_talk = False
        frame = talk.idle_frame
        if frame is None:
            frame = self._idle_frame_before + talk.shown_frames
        self._enter_at = frame % len(self.idle_loop.pictures)
        return self._enter_at

    def _keep_clock(self, talk: Talk, *, missing: int) -> None:
        """Shifts an answer that runs dry, so that its video waits for its audio."""
        if talk.complete:
            return
        talk.start_ticks += missing
        if missing and not talk.starved and talk.begun:
            talk.starved = True
            self._tell(running=False)
        elif not missing and talk.starved:
            talk.starved = False
            talk.underruns += 1
            self._tell(running=True)

    def _tell(self, *, running: bool, done: bool = False) -> None:
        self._changed(self._playing(self._talks[0], running=running, done=done))

    def _playing(self, talk: Talk, *, running: bool, done: bool = False) -> Playing:
        return Playing(
            turn_id=talk.turn_id,
            epoch=talk.epoch,
            sample=talk.played_samples,
            sample_rate_hz=talk.sample_rate_hz,
            running=running,
            done=done,
            underruns=talk.underruns,
        )
