"""Commands that are imported when they run, so that help and completion answer at once."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, kw_only=True)
class LazyCommand:
    """A command that is not imported yet."""

    module: str
    """The module of the command."""
    attribute: str
    """Its function, or its `Typer` with commands of its own."""
    help: str
    """What the list of commands says; the first line of its own help."""
    cls: type[TyperCommand] | None = None
    """The class of a command that is a function."""

    def load(self, name: str) -> Any:
        """Imports the command and returns it as the parser needs it."""
        found = getattr(import_module(self.module), self.attribute)
        if isinstance(found, typer.Typer):
            group = typer.main.get_group(found)
            group.name = name
            return group
        single = typer.Typer(add_completion=False)
        single.command(name, cls=self.cls)(found)
        return typer.main.get_command(single)


class LazyGroup(TyperGroup):
    """A group whose commands are listed without importing them."""

    commands_by_name: ClassVar[dict[str, LazyCommand]] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {
            name: TyperCommand(name, help=lazy.help) for name, lazy in self.commands_by_name.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Returns the command that runs, imported."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in self.commands_by_name:
            command = self.commands_by_name[name].load(name)
        return name, command, rest
