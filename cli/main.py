"""The command `anima`: starts a mesh, asks questions, and manages personas and model files."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from cli import ask, avatar, doctor, memory, memory_store, models, persona
from cli.knowledge import command
from cli.mesh import up
from cli.question_argument import QuestionCommand
from services.runtime.settings import SettingsError

app = typer.Typer(
    name="anima",
    help="A digital human to talk to: voice, face and memory, streamed through gRPC services.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up")(up.up)
app.command("ask", cls=QuestionCommand)(ask.ask)
app.command("doctor")(doctor.doctor)
app.add_typer(persona.app, name="persona")
app.add_typer(avatar.app, name="avatar")
app.add_typer(models.app, name="models")
memory.app.command("migrate")(memory_store.migrate)
memory.app.command("encrypt")(memory_store.encrypt)
memory.app.command("new-key")(memory_store.new_key)
app.add_typer(memory.app, name="memory")
app.add_typer(command.app, name="knowledge")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"anima {version('anima')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except SettingsError as error:
        sys.exit(f"Error: {error}")
