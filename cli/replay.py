"""`anima replay`: decides a recorded session again with the turn-taking of this version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.console import console, fail, results
from testing.replay import NotARecordingError, decisions, read
from testing.replay import replay as decided_now


def replay(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="A recording out of ANIMA_GATEWAY_TURN_LOG_DIR."
        ),
    ],
) -> None:
    """Decide a recorded session again, and mark with ! what is decided otherwise."""
    try:
        recorded = read(file)
    except (NotARecordingError, OSError) as error:
        fail(f"{error}.")
    then, now = decisions(recorded), decisions(decided_now(recorded))
    for index, decision in enumerate(now):
        same = index < len(then) and then[index] == decision
        results.print(" " if same else "!", *decision, markup=False)
    if then != now:
        console.print("The turn-taking decides otherwise than when this was recorded.")
        raise typer.Exit(1)
