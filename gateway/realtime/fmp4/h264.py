"""The parts of an H.264 stream that a container needs: parameter sets and access units."""

import re
from dataclasses import dataclass
from typing import Self

_START_CODE = re.compile(b"\x00\x00\x01")
_SPS = 7
_PPS = 8
_DROPPED = frozenset({_SPS, _PPS, 9})  # parameter sets are in avcC; delimiters have no use there


def split_annex_b(data: bytes) -> list[bytes]:
    """Returns the NAL units of an Annex B byte stream, without their start codes.

    Source: ITU-T H.264, Annex B.
    """
    starts = [match.end() for match in _START_CODE.finditer(data)]
    ends = [start - 3 for start in starts[1:]] + [len(data)]
    # A four-byte start code leaves its first zero behind a unit, and encoders may pad with more.
    units = (data[start:end].rstrip(b"\x00") for start, end in zip(starts, ends, strict=True))
    return [unit for unit in units if unit]


def to_length_prefixed(data: bytes) -> bytes:
    """Returns an access unit as stored in MP4: each NAL unit after its length in 4 bytes."""
    units = (unit for unit in split_annex_b(data) if unit[0] & 0x1F not in _DROPPED)
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


@dataclass(frozen=True)
class ParameterSets:
    """The sequence and picture parameter sets of a stream."""

    sps: bytes
    pps: bytes

    @classmethod
    def of_access_unit(cls, data: bytes) -> Self:
        """Reads the sets from a key frame.

        Raises:
            ValueError: The access unit has no parameter sets.
        """
        found = {unit[0] & 0x1F: unit for unit in split_annex_b(data)}
        if _SPS not in found or _PPS not in found or len(found[_SPS]) < 4:
            raise ValueError("the first frame has no H.264 parameter sets")
        return cls(found[_SPS], found[_PPS])

    @property
    def codec(self) -> str:
        """The name of the codec for a media type, such as ``avc1.42E01E`` (RFC 6381)."""
        return f"avc1.{self.sps[1:4].hex().upper()}"

    def decoder_configuration(self) -> bytes:
        """Returns the body of an ``avcC`` box (ISO/IEC 14496-15, 5.3.3.1)."""
        head = bytes([1]) + self.sps[1:4] + bytes([0xFF, 0xE1])
        sps = len(self.sps).to_bytes(2, "big") + self.sps
        pps = len(self.pps).to_bytes(2, "big") + self.pps
        return head + sps + bytes([1]) + pps
