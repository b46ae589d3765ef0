"""Moving audio, marks and media to another zero of the sample clock.

A stage that takes over within an answer counts its samples and frames from 0 again.
"""

from __future__ import annotations

from anima.common.v1 import common_pb2 as common

Item = common.AudioChunk | common.Marks


def rebased_audio(chunk: common.AudioChunk, samples: int) -> common.AudioChunk:
    """Returns the audio moved to `samples` later."""
    if not samples:
        return chunk
    moved = common.AudioChunk()
    moved.CopyFrom(chunk)
    moved.start_sample += samples
    return moved


def rebased_marks(marks: common.Marks, samples: int) -> common.Marks:
    """Returns the marks moved to `samples` later."""
    if not samples:
        return marks
    moved = common.Marks()
    moved.CopyFrom(marks)
    for word in moved.words:
        word.samples.start_sample += samples
    for viseme in moved.visemes:
        viseme.samples.start_sample += samples
    return moved


def rebased_media(media: common.MediaChunk, samples: int, frames: int) -> common.MediaChunk:
    """Moves media in place to `samples` and `frames` later, and returns it."""
    if samples:
        media.audio.start_sample += samples
        for frame in media.frames:
            frame.start_sample += samples
            frame.frame_number += frames
    return media


def after(item: Item, sample: int) -> Item | None:
    """Returns the part of audio or marks from a sample on; None if there is none."""
    if isinstance(item, common.Marks):
        return _marks_after(item, sample)
    end = item.start_sample + len(item.pcm) // 2
    if end <= sample:
        return None
    if item.start_sample >= sample:
        return item
    cut = common.AudioChunk()
    cut.CopyFrom(item)
    cut.pcm = item.pcm[(sample - item.start_sample) * 2 :]
    cut.start_sample = sample
    return cut


def _marks_after(marks: common.Marks, sample: int) -> common.Marks | None:
    left = common.Marks(header=marks.header)
    left.words.extend(word for word in marks.words if _end(word.samples) > sample)
    left.visemes.extend(each for each in marks.visemes if _end(each.samples) > sample)
    for span in (*(w.samples for w in left.words), *(v.samples for v in left.visemes)):
        early = sample - span.start_sample
        if early > 0:
            span.start_sample += early
            span.sample_count -= early
    return left if left.words or left.visemes else None


def _end(span: common.SampleSpan) -> int:
    return span.start_sample + span.sample_count
