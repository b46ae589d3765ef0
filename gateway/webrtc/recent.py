"""Keeps the tail of an answer sent over WebRTC, to resend it if the connection drops."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from anima.common.v1.common_pb2 import MediaChunk

KEPT_S = 2.0
"""About the media that is lost until a page notices that nothing arrives."""


class Recent:
    """The last seconds of one turn, from a key frame on, so that a player can start there."""

    def __init__(self) -> None:
        self._turn_id = ""
        self._chunks: deque[MediaChunk] = deque()

    def add(self, chunk: MediaChunk) -> None:
        """Adds media that has been sent, in order."""
        if chunk.header.turn_id != self._turn_id:
            self._chunks.clear()
            self._turn_id = chunk.header.turn_id
        for piece in _cut_at_key_frames(chunk):
            if self._chunks or _begins_with_key_frame(piece):
                self._chunks.append(piece)
        self._forget()

    def take(self, turn_id: str) -> list[MediaChunk]:
        """Removes and returns the media of a turn; empty if a player could not start with it."""
        chunks = list(self._chunks) if turn_id == self._turn_id else []
        self._chunks.clear()
        return chunks

    def _forget(self) -> None:
        keys = [n for n, chunk in enumerate(self._chunks) if n and _begins_with_key_frame(chunk)]
        enough = [n for n in keys if self._seconds_from(n) >= KEPT_S]
        for _ in range(enough[-1] if enough else 0):
            self._chunks.popleft()

    def _seconds_from(self, number: int) -> float:
        first, last = self._chunks[number].audio, self._chunks[-1].audio
        samples = last.start_sample + len(last.pcm) // 2 - first.start_sample
        return samples / first.sample_rate_hz


def _begins_with_key_frame(chunk: MediaChunk) -> bool:
    return bool(chunk.frames) and chunk.frames[0].key_frame


def _cut_at_key_frames(chunk: MediaChunk) -> Iterator[MediaChunk]:
    start = chunk.audio.start_sample
    keys = [frame.start_sample for frame in chunk.frames if frame.key_frame]
    ends = [key for key in keys if key > start] + [start + len(chunk.audio.pcm) // 2]
    begin = start
    for end in ends:
        piece = MediaChunk(header=chunk.header, audio=chunk.audio)
        piece.audio.start_sample = begin
        piece.audio.pcm = chunk.audio.pcm[2 * (begin - start) : 2 * (end - start)]
        piece.frames.extend(f for f in chunk.frames if begin <= f.start_sample < end)
        yield piece
        begin = end
