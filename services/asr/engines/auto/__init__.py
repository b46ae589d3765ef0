"""The engine `auto`: the best recogniser for each language that is spoken."""

from services.asr.engines.auto.engine import AutoEngine as AutoEngine
