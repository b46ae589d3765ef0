"""The command `anima`: starts a mesh, asks questions, and manages personas and model files."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated, ClassVar

import typer
from rich.markup import escape

from cli.console import console
from cli.lazy import LazyCommand, LazyGroup
from cli.question_argument import QuestionCommand


class Commands(LazyGroup):
    """The commands of `anima`."""

    commands_by_name: ClassVar = {
        "up": LazyCommand(
            module="cli.mesh.up",
            attribute="up",
            help="Start all services and the gateway; Ctrl-C stops them.",
        ),
        "ask": LazyCommand(
            module="cli.ask",
            attribute="ask",
            help="Ask one question and get the answer as text, film, sound, subtitles or JSON.",
            cls=QuestionCommand,
        ),
        "doctor": LazyCommand(
            module="cli.doctor",
            attribute="doctor",
            help="Report what is missing on this machine and how to install it.",
        ),
        "persona": LazyCommand(
            module="cli.persona", attribute="app", help="List, check and create personas."
        ),
        "avatar": LazyCommand(
            module="cli.avatar",
            attribute="app",
            help="Create avatars from photos, list, show and delete them.",
        ),
        "models": LazyCommand(
            module="cli.models", attribute="app", help="List, pull and check model files."
        ),
        "memory": LazyCommand(
            module="cli.memory",
            attribute="app",
            help="List, export, import and erase the memories of a user.",
        ),
        "knowledge": LazyCommand(
            module="cli.knowledge.command",
            attribute="app",
            help="Add, list, show and remove the documents that answers cite.",
        ),
        "token": LazyCommand(
            module="cli.token",
            attribute="app",
            help="Make keys and signed tokens, and read tokens.",
        ),
        "health": LazyCommand(
            module="cli.health",
            attribute="health",
            help="Ask a service whether it works, as the probes of containers do.",
        ),
        "replay": LazyCommand(
            module="cli.replay",
            attribute="replay",
            help="Decide a recorded session again, and mark with ! what is decided otherwise.",
        ),
    }


_SHARED = ("models", "persona")
"""Commands that write what other users of the machine may read; all others write private files."""

app = typer.Typer(
    name="anima",
    cls=Commands,
    help="A digital human to talk to: voice, face and memory, streamed through gRPC services.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"anima {version('anima')}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options before the command."""
    if context.invoked_subcommand not in _SHARED:
        from services.runtime.process.private_files import (
            keep_private,  # only now: help needs no services
        )

        keep_private()


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except Exception as error:
        from services.runtime.config.settings import (
            SettingsError,  # only now: help needs no services
        )

        if isinstance(error, SettingsError):
            console.print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
            sys.exit(1)
        raise
