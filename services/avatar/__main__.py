"""Starts the avatar service: `python -m services.avatar`."""

from services.avatar.servicer import build
from services.avatar.settings import AvatarSettings
from services.runtime.server import run

if __name__ == "__main__":
    run(build, AvatarSettings)
