"""The engine `pocketsphinx`: CMU's recogniser with its English model, which is in its wheel."""

from services.asr.engines.pocketsphinx.engine import PocketsphinxEngine

__all__ = ["PocketsphinxEngine"]
