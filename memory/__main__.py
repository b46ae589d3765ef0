"""Starts the memory service: `python -m memory`."""

from memory.servicer import build
from memory.settings import MemorySettings
from services.runtime.server import run

if __name__ == "__main__":
    run(build, MemorySettings)
