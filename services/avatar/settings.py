"""The settings of the avatar service."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from services.runtime.settings import CHECKOUT, ServiceSettings


class AvatarSettings(ServiceSettings):
    """What the avatar service can be told: `ANIMA_AVATAR_*`."""

    stage: ClassVar[str] = "avatar"
    default_port: ClassVar[int] = 50055

    engine: str = "portrait"
    capacity: int = Field(default=4, ge=1, le=10_000)
    default_avatar: str = "anima"
    """The avatar of a request that names none; the first by name if it does not exist."""
    avatars_dir: Path = CHECKOUT / "avatars"
    """Avatars that belong to no persona: a folder with avatar.toml each."""
    encoder_preset: str = Field(default="superfast", pattern="^(ultra|super|very)fast$")
    """The preset of x264: faster means more bits for the same picture."""
    compute_threads: int = Field(default=2, ge=1, le=64)
    """How many threads draw and encode; a stream uses one at a time."""
