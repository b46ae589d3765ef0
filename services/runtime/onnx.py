"""onnxruntime without telemetry: the only module of Anima that imports it.

Importing the package `services.runtime` has disabled the telemetry by then.
"""

from __future__ import annotations

import onnxruntime

__all__ = ["onnxruntime"]
