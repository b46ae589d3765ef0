"""The boxes of a fragmented MP4 (ISO/IEC 14496-12), as far as a live stream needs them.

FFmpeg's muxer closes a fragment only when the next packet arrives, which would delay each frame by
its own duration; here a frame is sent as soon as it is known.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

_MATRIX = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_OPUS_RATE_HZ = 48_000
_SYNC_SAMPLE = 0x02000000
_DEPENDENT_SAMPLE = 0x01010000


@dataclass(frozen=True, kw_only=True)
class Track:
    """A track of the stream.

    Attributes:
        track_id: The number of the track, from 1.
        timescale_hz: Ticks per second of the track's times.
        sample_entry: The box that describes the encoding.
        width_px: 0 for audio.
        height_px: 0 for audio.
        skipped_ticks: The encoder's priming before the first real sample; an edit list hides it.
    """

    track_id: int
    timescale_hz: int
    sample_entry: bytes
    width_px: int = 0
    height_px: int = 0
    skipped_ticks: int = 0

    @property
    def is_video(self) -> bool:
        """True if the track has video."""
        return self.width_px > 0


@dataclass(frozen=True)
class Sample:
    """An encoded frame or a packet of audio: its bytes, its duration in ticks, its kind."""

    data: bytes
    duration_ticks: int
    sync: bool = True


@dataclass(frozen=True)
class Run:
    """Consecutive samples of one track, the first at ``start_ticks`` of the track's timescale."""

    track_id: int
    start_ticks: int
    samples: Sequence[Sample]


def box(kind: bytes, *parts: bytes) -> bytes:
    """Returns a box around its parts."""
    size = 8 + sum(len(part) for part in parts)
    return b"".join((size.to_bytes(4, "big"), kind, *parts))


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """Returns a box with version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def init_segment(tracks: Sequence[Track]) -> bytes:
    """Returns the init segment, which a player needs before the first fragment: `ftyp`, `moov`."""
    movie = full_box(
        b"mvhd",
        0,
        0,
        struct.pack(">IIIIIH10x", 0, 0, 1000, 0, 0x10000, 0x0100),
        _MATRIX,
        bytes(24),
        struct.pack(">I", len(tracks) + 1),
    )
    extends = box(
        b"mvex",
        *(full_box(b"trex", 0, 0, struct.pack(">5I", t.track_id, 1, 0, 0, 0)) for t in tracks),
    )
    brands = box(b"ftyp", b"iso5", struct.pack(">I", 512), b"iso5iso6mp41")
    return brands + box(b"moov", movie, *map(_track, tracks), extends)


def fragment(sequence: int, runs: Sequence[Run]) -> bytes:
    """Returns one fragment: ``moof`` and ``mdat``.

    Args:
        sequence: The number of the fragment in the stream, from 1.
        runs: At most one per track; none is empty.
    """
    # The offsets do not change the size of the header, so it is measured with zeros first.
    header_size = len(_movie_fragment(sequence, runs, [0] * len(runs)))
    offsets = []
    position = header_size + 8
    for run in runs:
        offsets.append(position)
        position += sum(len(sample.data) for sample in run.samples)
    payload = box(b"mdat", *(sample.data for run in runs for sample in run.samples))
    return _movie_fragment(sequence, runs, offsets) + payload


def avc_sample_entry(configuration: bytes, width_px: int, height_px: int) -> bytes:
    """Returns the sample entry of an H.264 track."""
    fields = struct.pack(
        ">6xH16xHHIIIH32xHh", 1, width_px, height_px, 0x480000, 0x480000, 0, 1, 24, -1
    )
    return box(b"avc1", fields, box(b"avcC", configuration))


def opus_sample_entry(pre_skip: int) -> bytes:
    """Returns the sample entry of a mono Opus track.

    Source: "Encapsulation of Opus in ISO Base Media File Format", 4.3.2. The input rate there is
    only informative, but Chromium rejects the stream if it is not the 48 kHz of the sample entry.
    """
    specific = box(b"dOps", struct.pack(">BBHIhB", 0, 1, pre_skip, _OPUS_RATE_HZ, 0, 0))
    return box(b"Opus", _audio_fields(_OPUS_RATE_HZ), specific)


def aac_sample_entry(configuration: bytes, rate_hz: int) -> bytes:
    """Returns the sample entry of a mono AAC track.

    Source: ISO/IEC 14496-14, 5.6; descriptors of ISO/IEC 14496-1, 7.2.6.
    """
    specific = _descriptor(0x05, configuration)
    decoder = _descriptor(0x04, struct.pack(">BB3xII", 0x40, 0x15, 0, 0), specific)
    stream = _descriptor(0x03, struct.pack(">HB", 1, 0), decoder, _descriptor(0x06, b"\x02"))
    return box(b"mp4a", _audio_fields(rate_hz), full_box(b"esds", 0, 0, stream))


def _audio_fields(rate_hz: int) -> bytes:
    return struct.pack(">6xH8xHHHHI", 1, 1, 16, 0, 0, rate_hz << 16)


def _descriptor(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes([tag, len(body)]) + body


def _track(track: Track) -> bytes:
    volume = 0 if track.is_video else 0x0100
    header = full_box(
        b"tkhd",
        0,
        3,
        struct.pack(">IIIII8xHHH2x", 0, 0, track.track_id, 0, 0, 0, 0, volume),
        _MATRIX,
        struct.pack(">II", track.width_px << 16, track.height_px << 16),
    )
    return box(b"trak", header, _edits(track), _media(track))


def _edits(track: Track) -> bytes:
    if not track.skipped_ticks:
        return b""
    # Duration 0: the edit covers the fragments that follow.
    edit = struct.pack(">IIiHH", 1, 0, track.skipped_ticks, 1, 0)
    return box(b"edts", full_box(b"elst", 0, 0, edit))


def _media(track: Track) -> bytes:
    undetermined = 0x55C4  # "und" in the packed letters of ISO 639-2
    header = full_box(
        b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, track.timescale_hz, 0, undetermined, 0)
    )
    kind, name = (b"vide", b"picture\0") if track.is_video else (b"soun", b"sound\0")
    handler = full_box(b"hdlr", 0, 0, bytes(4), kind, bytes(12), name)
    if track.is_video:
        media_header = full_box(b"vmhd", 0, 1, bytes(8))
    else:
        media_header = full_box(b"smhd", 0, 0, bytes(4))
    here = full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1))
    table = box(
        b"stbl",
        full_box(b"stsd", 0, 0, struct.pack(">I", 1), track.sample_entry),
        full_box(b"stts", 0, 0, bytes(4)),
        full_box(b"stsc", 0, 0, bytes(4)),
        full_box(b"stsz", 0, 0, bytes(8)),
        full_box(b"stco", 0, 0, bytes(4)),
    )
    return box(b"mdia", header, handler, box(b"minf", media_header, box(b"dinf", here), table))


def _movie_fragment(sequence: int, runs: Sequence[Run], offsets: Sequence[int]) -> bytes:
    header = full_box(b"mfhd", 0, 0, struct.pack(">I", sequence))
    tracks = (_track_fragment(run, offset) for run, offset in zip(runs, offsets, strict=True))
    return box(b"moof", header, *tracks)


def _track_fragment(run: Run, data_offset: int) -> bytes:
    default_base_is_moof = 0x020000
    header = full_box(b"tfhd", 0, default_base_is_moof, struct.pack(">I", run.track_id))
    start = full_box(b"tfdt", 1, 0, struct.pack(">Q", run.start_ticks))
    rows = (
        struct.pack(
            ">III",
            sample.duration_ticks,
            len(sample.data),
            _SYNC_SAMPLE if sample.sync else _DEPENDENT_SAMPLE,
        )
        for sample in run.samples
    )
    offset_duration_size_flags = 0x000701
    count = struct.pack(">Ii", len(run.samples), data_offset)
    table = full_box(b"trun", 0, offset_duration_size_flags, count, *rows)
    return box(b"traf", header, start, table)
