"""Measured figures and their goals."""

from __future__ import annotations

import sys


class Goals:
    """Prints figures and records which of them missed their goal.

    Attributes:
        missed: A line for each figure that missed its goal.
    """

    def __init__(self) -> None:
        self.missed: list[str] = []

    def exit_if_missed(self) -> None:
        """Exits with an error that lists the missed goals, if there are any."""
        if self.missed:
            sys.exit("missed:\n" + "\n".join(self.missed))

    def at_most(self, what: str, value: float, most: float, *, form: str = ".4f") -> None:
        """Prints a figure that should not be greater than `most`."""
        self._say(what, value, value <= most, f"at most {most:{form}}", form)

    def at_least(self, what: str, value: float, least: float, *, form: str = ".2f") -> None:
        """Prints a figure that should not be less than `least`."""
        self._say(what, value, value >= least, f"at least {least:{form}}", form)

    def _say(self, what: str, value: float, met: bool, goal: str, form: str) -> None:
        line = f"{what}: {value:{form}} ({goal})"
        print(line if met else f"{line}  MISSED")
        if not met:
            self.missed.append(line)
