"""The headers and marks of the scripted voice."""

from __future__ import annotations

import anima.common.v1 as common
import anima.tts.v1 as tts


def header_of(config: tts.SynthesizeConfig, segment: int) -> common.ChunkHeader:
    """Returns the header of what is spoken of a segment."""
    return common.ChunkHeader(turn_id=config.turn_id, epoch=config.epoch, segment=segment)


def marks_of(
    config: tts.SynthesizeConfig, segment: tts.TextSegment, made: int, total: int
) -> common.Marks:
    """Returns a mark for each word, of a length in proportion to its characters.

    Args:
        config: Of the stream.
        segment: What is spoken.
        made: The samples before it.
        total: Its samples.
    """
    marks = common.Marks(header=header_of(config, segment.segment))
    place = 0
    per_char = total / max(1, len(segment.text))
    for word in segment.text.split():
        start = segment.text.index(word, place)
        place = start + len(word)
        span = common.SampleSpan(
            start_sample=made + round(start * per_char), sample_count=round(len(word) * per_char)
        )
        chars = common.CharSpan(
            start_char=segment.start_char + start, end_char=segment.start_char + place
        )
        marks.words.append(common.WordMark(text=word, chars=chars, samples=span))
        marks.visemes.append(common.VisemeMark(viseme=common.VISEME_AA, chars=chars, samples=span))
    return marks
