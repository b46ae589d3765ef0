"""Starts the recognition service: `python -m services.asr`."""

from services.asr.servicer import build
from services.asr.settings import AsrSettings
from services.runtime.server import run

if __name__ == "__main__":
    run(build, AsrSettings)
