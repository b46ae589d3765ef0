"""The engine `moonshine`: Moonshine tiny, which understands English, through onnxruntime."""

from services.asr.engines.moonshine.engine import MoonshineEngine

__all__ = ["MoonshineEngine"]
