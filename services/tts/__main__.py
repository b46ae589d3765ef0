"""Starts the speech service: `python -m services.tts`."""

from services.runtime.server import run
from services.tts.servicer import build
from services.tts.settings import TtsSettings

if __name__ == "__main__":
    run(build, TtsSettings)
