"""The settings of the avatar service."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from services.runtime.config.settings import ServiceSettings, shipped


class AvatarSettings(ServiceSettings):
    """The settings of the avatar service, `ANIMA_AVATAR_*`."""

    stage: ClassVar[str] = "avatar"
    default_port: ClassVar[int] = 50055

    engine: str = "painted"
    """The name of an engine: an entry point in `anima.avatar.engines`."""
    capacity: int = Field(default=4, ge=1, le=10_000)
    """How many streams are rendered at the same time."""
    default_avatar: str = "anima"
    """The avatar of a request that names none; if it does not exist, the first one by name."""
    avatars_dir: Path = shipped("avatars")
    """The folder of avatars that belong to no persona, each a folder with an `avatar.toml`."""
    avatars_per_user: int = Field(default=50, ge=0, le=10_000)
    """The most avatars made of photos that a user may have; those that belong to nobody count
    together. 0: no limit."""
    encoder_preset: str = Field(default="superfast", pattern="^(ultra|super|very)fast$")
    """The preset of x264; a faster one needs more bits for the same quality."""
    compute_threads: int = Field(default=2, ge=1, le=64)
    """How many threads draw and encode; a stream uses one at a time."""
