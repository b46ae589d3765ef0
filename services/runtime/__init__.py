"""What every server of Anima shares, from its settings to the files of its models."""

import os

# onnxruntime 1.29 and later report to their maker on import and write a device id into the user's
# cache folder (microsoft/onnxruntime#27379). Only this variable, set before the first import in the
# process, stops that. It stands here because every process imports this package before any engine,
# engines in packages of somebody else's included.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
