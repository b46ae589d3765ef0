"""The tiny service as a process: `python -m tests.unit.runtime.tiny_main`."""

from __future__ import annotations

import sys

from services.runtime.errors import FailedPrecondition
from services.runtime.server import Stage, run
from tests.unit.runtime.tiny_service import TinyServicer, TinySettings, tiny_stage


async def fail() -> None:
    """Fails as a stage without its model does."""
    raise FailedPrecondition("model x is missing; run: anima models pull x")


def build(settings: TinySettings) -> Stage:
    """Returns the stage; the setting `fail` makes its warm-up fail."""
    if settings.fail:
        return tiny_stage(TinyServicer(), warm_up=fail)
    return tiny_stage()


if __name__ == "__main__":
    sys.exit(run(build, TinySettings))
