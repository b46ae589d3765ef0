"""What a decoder process is asked to do; each is one byte."""

from typing import Final

BEGIN: Final = b"B"
BEGIN_SAME_SPEAKER: Final = b"S"
FEED: Final = b"F"
END: Final = b"E"
DECODE: Final = b"D"
DROP: Final = b"X"
