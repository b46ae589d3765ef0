"""The engine `funasr`: a FunASR server, over its WebSocket protocol."""

from services.asr.engines.funasr.engine import FunasrEngine as FunasrEngine
