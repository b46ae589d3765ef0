"""What a peer sees and hears: the idle loop, and answers in it, both on one clock.

Nothing here waits or knows of WebRTC: a pump asks for what is due. Sound never stops (silence
between answers), pictures never stop (the idle loop). An answer that runs dry holds sound and
pictures alike, so that they stay together.
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
"""How long after its first media an answer begins: what follows must be there in time."""
_FREEZE_TICKS = 400 * CLOCK_HZ // 1000
_ENTRY_TICKS = 160 * CLOCK_HZ // 1000
_FADE_TICKS = SOUND_TICKS
_CROSSING_LEAD_S = 0.2
"""A crossing must have been made by then."""


@dataclass(frozen=True, kw_only=True)
class Playing:
    """How an answer plays, from now on.

    Attributes:
        turn_id: the turn.
        epoch: of the session.
        sample: what leaves now, on the turn's own clock.
        sample_rate_hz: of that clock.
        running: False: it is held.
        done: all of it has left.
        underruns: how often it ran dry so far.
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
    """An access unit and when it is to be shown."""

    ticks: int
    data: bytes


class Program:
    """The programme of one peer.

    Args:
        loop: what is shown between answers.
        changed: told when an answer begins, is held, goes on or is over.

    Attributes:
        sound_ticks: when the next sound is due.
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
        """Returns when something is due next, later than now: sound at the latest."""
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
        """The frame of the loop that is shown next, or that an answer was begun at."""
        return self._idle_frame_before if self._in_talk else self._idle.frame

    @property
    def playing_turn(self) -> str | None:
        """The turn whose media is here; None if there is none."""
        return self._talks[-1].turn_id if self._talks else None

    @property
    def answering(self) -> bool:
        """Tells whether pictures of an answer are shown."""
        return self._in_talk

    def next_crossing(self, loop: IdleLoop) -> int:
        """Returns the key frame of a loop before which it can be crossed to next."""
        lead_frames = round(_CROSSING_LEAD_S * loop.frame_rate_hz)
        return self._idle.next_crossing(loop, lead_frames=lead_frames)

    def cross(self, crossing: Crossing) -> bool:
        """Changes the look between answers; False if it is too late for that."""
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
            # On the grid of the loop, so that its last frame is shown as long as all others.
            late = (talk.start_ticks - self._shown_ticks) % self._idle_ticks
            talk.start_ticks += (self._idle_ticks - late) % self._idle_ticks
            self._talks.append(talk)
        talk.append(chunk)

    def finish(self, turn_id: str, idle_frame: int | None = None) -> int | None:
        """Says that an answer has no more media.

        Args:
            turn_id: the answer; one that is not the newest is over already.
            idle_frame: where the loop goes on after it; None: reckoned.

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
        """Returns how the answer plays that is heard; None if there is none."""
        talk = self._talks[0] if self._talks else None
        if talk is None or not talk.begun:
            return None
        return self._playing(talk, running=not self._held and not talk.starved)

    def hold(self, held: bool) -> None:
        """Holds the answer, or lets it go on."""
        changes = self._held != held and bool(self._talks)
        self._held = held and bool(self._talks)
        if changes:
            self._tell(running=not held)

    def interrupt(self) -> int | None:
        """Drops all answers; the sound fades within 20 ms.

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
        """Returns the next 20 ms of sound: shape [960], mono int16 at 48 kHz."""
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
        """Returns the picture that is due by now; None if none is."""
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
        """Goes back into the loop; waits a little for an entry that is being made."""
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
        """Moves an answer that runs dry, so that its pictures wait for its sound."""
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
