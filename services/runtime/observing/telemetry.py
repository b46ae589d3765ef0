"""Libraries that report to their makers, and the variables that prevent it.

Importing the package `services.runtime` sets them, before any of these libraries can be imported,
and child processes inherit them. docs/supply-chain.md has the same table.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple


class Reporter(NamedTuple):
    """A variable that keeps libraries from reporting."""

    variable: str
    value: str
    libraries: tuple[str, ...]
    """The modules that read it."""
    why: str
    """What they would do without it."""


REPORTERS: Final = (
    Reporter(
        "ORT_DISABLE_TELEMETRY",
        "1",
        ("onnxruntime",),
        # microsoft/onnxruntime#27379; read at the first import, so later is too late
        "Since 1.29 the import starts reports to Microsoft and writes a device id into the cache.",
    ),
    Reporter(
        "HF_HUB_DISABLE_TELEMETRY",
        "1",
        ("huggingface_hub", "transformers", "hf_xet"),
        "Usage reports and details of the machine in requests to Hugging Face.",
    ),
    Reporter(
        "HF_XET_TELEMETRY_ENABLED",
        "false",
        ("hf_xet",),
        "A report about each transfer to the server of the files.",
    ),
    Reporter(
        "VLLM_NO_USAGE_STATS",
        "1",
        ("vllm",),
        "A report about machine, model and settings at each start, then every ten minutes.",
    ),
    Reporter(
        "RAY_USAGE_STATS_ENABLED",
        "0",
        ("ray",),
        "Reports of a Ray cluster, which vLLM starts for several machines.",
    ),
    Reporter(
        "DO_NOT_TRACK",
        "1",
        ("vllm", "huggingface_hub", "hf_xet"),
        "The convention of consoledonottrack.com, for these and for libraries of other engines.",
    ),
)


def disable() -> None:
    """Sets every variable of the table, whatever it was before."""
    for reporter in REPORTERS:
        os.environ[reporter.variable] = reporter.value
