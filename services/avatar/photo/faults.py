"""Faults of a photo: each is one sentence that states what to change."""

from __future__ import annotations

from services.runtime.errors import InvalidRequest


class PhotoFault(InvalidRequest):
    """No avatar can be made of a photo."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"photo: {message}", reason=reason)
