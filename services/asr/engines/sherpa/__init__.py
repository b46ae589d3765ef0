"""The engine `sherpa`: models in the format of sherpa-onnx, without torch."""

from services.asr.engines.sherpa.engine import SherpaEngine as SherpaEngine
