"""Allows questions that start with a minus, which would otherwise be parsed as an option."""

from __future__ import annotations

import re
from typing import Any, Final

from typer.core import TyperCommand

_LIKE_A_QUESTION: Final = re.compile(r"-\s*[\d.,]|-.*\s", re.DOTALL)
"""A number, or several words: no option looks like this."""


class QuestionCommand(TyperCommand):
    """A command whose only argument may be a text such as "-5 + 3?"."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments; a text that only looks like an option is read as the argument."""
        options = {name for each in self.params for name in (*each.opts, *each.secondary_opts)}
        flags = {
            name for each in self.params if getattr(each, "is_flag", False) for name in each.opts
        }
        for index, text in enumerate(args):
            is_value = index > 0 and args[index - 1] in options - flags
            is_option = text.partition("=")[0] in options
            if text == "--":
                break
            if _LIKE_A_QUESTION.match(text) and not is_value and not is_option:
                args = [*args[:index], *args[index + 1 :], "--", text]
                break
        return super().parse_args(ctx, args)
