"""A stage that could not do its part."""

from __future__ import annotations

from services.runtime.errors import AnimaError

_REOPEN_TIMEOUT_MS = 2_000

SILENT = "SILENT"
"""The reason of an error when a stage had work to do and sent nothing."""


def reopen_ms(error: AnimaError) -> int | None:
    """Returns how long to spend on reopening after an error, ms; None: as long as the first time.

    A process that was killed is being restarted meanwhile; one that hangs is not.
    """
    return _REOPEN_TIMEOUT_MS if error.reason == SILENT else None


class StageFailed(Exception):  # noqa: N818 (named after its meaning)
    """A stage could not do its part.

    Attributes:
        stage: The name of the stage, such as "tts".
        error: The error that it returned, or the reason why there is no answer.
    """

    def __init__(self, stage: str, error: AnimaError) -> None:
        super().__init__(f"{stage}: {error}")
        self.stage = stage
        self.error = error
