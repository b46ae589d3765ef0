"""An engine for Anima's speech service that speaks Morse code."""

from anima_morse.engine import MorseEngine

__all__ = ["MorseEngine"]
