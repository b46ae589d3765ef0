"""Starts the language-model service: `python -m services.llm`."""

from services.llm.servicer import build
from services.llm.settings import LlmSettings
from services.runtime.server import run

if __name__ == "__main__":
    run(build, LlmSettings)
