"""A pre-encoded idle loop that can be entered at any frame and can cross over to another loop."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import av

from anima.avatar.v1.avatar_pb2 import Activity
from gateway.webrtc.recoding import CodedPicture, coded, decoded, dissolved
from services.runtime.process.compute import Compute

_MAX_ENTRIES = 64
_MAX_CROSSINGS = 32
_CROSSING_S = 0.48


@dataclass(frozen=True, kw_only=True)
class IdleLoop:
    """A loop of one avatar.

    A decoder can enter a stream only at a key frame, but an answer may end anywhere: an *entry* is
    the stretch from any frame to the loop's next key frame, encoded again so that it starts with
    its own key frame. A *crossing* is an entry in which another loop dissolves into this one; the
    loops of an avatar are in step, so that only the look changes. Each is made only once.

    Attributes:
        pictures: The encoded frames; the first one is a key frame.
        frame_rate_hz: Frames per second.
        activity: The activity of the face.
    """

    pictures: tuple[CodedPicture, ...]
    frame_rate_hz: int
    activity: Activity.ValueType = Activity.ACTIVITY_IDLE
    _entries: OrderedDict[int, tuple[CodedPicture, ...]] = field(default_factory=OrderedDict)
    _crossings: OrderedDict[tuple[int, int], Crossing] = field(default_factory=OrderedDict)

    def entry(self, frame: int) -> tuple[CodedPicture, ...] | None:
        """Returns the frames from a frame to the next key frame; None if they are not made yet."""
        if self.pictures[frame].key_frame:
            return ()
        return self._entries.get(frame)

    def nearest_key_frame(self, frame: int) -> int:
        """Returns the nearest key frame, also across the loop's seam."""
        count = len(self.pictures)
        keys = [n for n, picture in enumerate(self.pictures) if picture.key_frame]
        return min(keys, key=lambda key: min((key - frame) % count, (frame - key) % count))

    async def prepare(self, frame: int, compute: Compute) -> None:
        """Makes the entry at a frame, if there is none."""
        if self.entry(frame) is None:
            self._entries[frame] = await compute.run(self._make_entry, frame)
            if len(self._entries) > _MAX_ENTRIES:
                self._entries.popitem(last=False)

    def fits(self, other: IdleLoop) -> bool:
        """Returns whether another loop is in step with this one."""
        mine, others = ((loop.frame_rate_hz, len(loop.pictures)) for loop in (self, other))
        return mine == others

    def crossing_frames(self, key_frame: int) -> int:
        """Returns the number of frames of a crossing before one of its key frames."""
        return min(round(_CROSSING_S * self.frame_rate_hz), key_frame or len(self.pictures))

    async def crossing(self, before: IdleLoop, key_frame: int, compute: Compute) -> Crossing:
        """Returns the crossing from another loop that ends just before a key frame of this one."""
        key = (before.activity, key_frame)
        known = self._crossings.get(key)
        if known is None or known.before is not before:
            known = await compute.run(self._make_crossing, before, key_frame)
            self._crossings[key] = known
            if len(self._crossings) > _MAX_CROSSINGS:
                self._crossings.popitem(last=False)
        return known

    def _make_entry(self, frame: int) -> tuple[CodedPicture, ...]:
        later = (n for n in range(frame, len(self.pictures)) if self.pictures[n].key_frame)
        last = next(later, len(self.pictures))
        return coded(self._shown(frame, last), self.frame_rate_hz)

    def _make_crossing(self, before: IdleLoop, key_frame: int) -> Crossing:
        last = key_frame or len(self.pictures)
        first = last - self.crossing_frames(key_frame)
        mixed = dissolved(before._shown(first, last), self._shown(first, last))
        pictures = coded(mixed, self.frame_rate_hz)
        return Crossing(before=before, after=self, first=first, pictures=pictures)

    def _shown(self, first: int, last: int) -> list[av.VideoFrame]:
        """Decodes the frames from `first` to `last`, without `last`."""
        key = max(n for n in range(first + 1) if self.pictures[n].key_frame)
        return decoded(self.pictures[key:last])[first - key :]


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """A transition from one loop to another.

    Attributes:
        before: The loop that is left.
        after: The loop that is entered.
        first: The frame at which it starts.
        pictures: The frames from there to a key frame of `after`.
    """

    before: IdleLoop
    after: IdleLoop
    first: int
    pictures: tuple[CodedPicture, ...]


class IdleCursor:
    """A position in the loops of one avatar.

    Args:
        rest: The loop in which answers end.
        frame: The approximate start.
    """

    def __init__(self, rest: IdleLoop, frame: int = 0) -> None:
        self._rest = self._loop = rest
        self._frame = rest.nearest_key_frame(frame % len(rest.pictures))
        self._entry: tuple[CodedPicture, ...] = ()
        self._entered_at = 0
        self._crossing: Crossing | None = None

    @property
    def frame(self) -> int:
        """The frame that is shown next."""
        return self._frame

    @property
    def rest(self) -> IdleLoop:
        """The loop in which answers end."""
        return self._rest

    @property
    def loop(self) -> IdleLoop:
        """The loop that is shown, or is about to be."""
        return self._loop if self._crossing is None else self._crossing.after

    def enter(self, frame: int) -> None:
        """Enters the rest loop at a frame, or at the nearest key frame if the entry is not made."""
        self.leave()
        frame %= len(self._rest.pictures)
        entry = self._rest.entry(frame)
        self._frame = self._rest.nearest_key_frame(frame) if entry is None else frame
        self._entry, self._entered_at = entry or (), self._frame

    def leave(self) -> None:
        """Resets the look: an answer has started, which ends in the rest loop."""
        self._loop, self._crossing = self._rest, None

    def next_crossing(self, loop: IdleLoop, *, lead_frames: int) -> int:
        """Returns the next key frame of a loop before which a crossing to it can end.

        Args:
            loop: The loop.
            lead_frames: The earliest start of the crossing, in frames from now.
        """
        count = len(loop.pictures)
        for ahead in range(lead_frames, lead_frames + 2 * count):
            key = (self._frame + ahead) % count
            if loop.pictures[key].key_frame and ahead - lead_frames >= loop.crossing_frames(key):
                return key
        return 0

    def cross(self, crossing: Crossing) -> bool:
        """Starts a crossing; returns False if its first frame or the current loop is over."""
        ahead = (crossing.first - self._frame) % len(self._rest.pictures)
        late = ahead > len(self._rest.pictures) // 2
        if late or crossing.before is not self.loop or crossing.before is not self._loop:
            return False
        self._crossing = crossing
        return True

    def next(self) -> bytes:
        """Returns the next access unit."""
        frame = self._frame
        self._frame = (frame + 1) % len(self._rest.pictures)
        if self._crossing is not None and frame == self._crossing.first:
            self._loop, self._entry = self._crossing.after, self._crossing.pictures
            self._entered_at, self._crossing = frame, None
        into_entry = frame - self._entered_at
        if 0 <= into_entry < len(self._entry):
            return self._entry[into_entry].data
        self._entry = ()
        return self._loop.pictures[frame].data
