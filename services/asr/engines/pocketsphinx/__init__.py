"""The engine `pocketsphinx`: CMU's recogniser with its English model, both from its wheel."""

from services.asr.engines.pocketsphinx.engine import PocketsphinxEngine

__all__ = ["PocketsphinxEngine"]
