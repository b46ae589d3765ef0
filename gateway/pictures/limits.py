"""The limits of a picture; a module without OpenCV, which only the workers load."""

from __future__ import annotations

from typing import Final

MAX_PICTURE_BYTES: Final = 16 * 1024 * 1024
"""The largest file that is taken, before it is made small."""
MAX_PICTURES: Final = 4
"""How many may be shown with one question."""
MAX_SIDE_PX: Final = 1_280
"""More than models look at in one piece."""
MAX_JPEG_BYTES: Final = 400_000
"""Four pictures of a question and four of an earlier one fit into a message of 4 MiB."""
