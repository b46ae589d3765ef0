"""Code shared by all servers of Anima, from settings to model files."""

import os

# onnxruntime 1.29 and later send telemetry to their maker on import and write a device id into the
# user's cache folder (microsoft/onnxruntime#27379). Only this variable, set before the first import
# in the process, prevents that. It is set here because every process imports this package before
# any engine, including engines in third-party packages.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
