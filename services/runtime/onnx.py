"""onnxruntime without its telemetry: the one module of Anima that imports it.

Importing the package `services.runtime` has switched the telemetry off by then.
"""

from __future__ import annotations

import onnxruntime

__all__ = ["onnxruntime"]
