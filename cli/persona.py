"""`anima persona`: the personas of the mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.console import console, fail, listing, print_table, results
from services.llm.persona.persona import (
    PersonaError,
    PersonaListing,
    check_persona,
    create_persona,
    list_personas,
    load_persona,
)
from services.llm.settings import LlmSettings
from services.runtime.config.settings import PACKAGED

app = typer.Typer(help="List, check and create personas.", no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Option("--folder", help="Folder of personas (default: ANIMA_PERSONAS_DIR).")
]


def _folder(chosen: Path | None) -> Path:
    return chosen or LlmSettings.from_environment().personas_dir


def _names(incomplete: str) -> list[str]:
    listings = list_personas(_folder(None))
    return [each.name for each in listings if each.name.startswith(incomplete)]


Name = Annotated[str, typer.Argument(autocompletion=_names, help="The persona's name.")]


@app.command("list")
def list_(folder: Folder = None) -> None:
    """List the personas with languages, voices and number of answers."""
    table = listing("name", "languages", "voices", "avatar", "answers", "description")
    for each in list_personas(_folder(folder)):
        table.add_row(each.name, *_columns(each))
    print_table(table)


def _columns(persona: PersonaListing) -> tuple[str, ...]:
    if persona.profile is None or persona.problems:
        return "", "", "", "", f"[red]run: anima persona check {persona.name}[/]"
    profile = persona.profile
    voices = ", ".join(voice.names[0] for voice in profile.voices.values())
    answers = str(len(load_persona(persona.folder).entries))
    return ", ".join(profile.languages), voices, profile.avatar, answers, profile.description


@app.command("check")
def check(name: Name, folder: Folder = None) -> None:
    """Check a persona's folder and report what to fix."""
    target = _folder(folder) / name
    if problems := check_persona(target):
        fail(f"{name} has errors:", remedy="\n".join(problems))
    results.print(f"{name} is valid: {target}")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits, - and _.")],
    folder: Folder = None,
) -> None:
    """Create a persona's folder from a commented template that works as it is."""
    chosen = _folder(folder)
    if chosen.is_relative_to(PACKAGED):
        fail(
            f"{chosen} belongs to the installed package, which an update replaces.",
            remedy="Use --folder FOLDER, and set ANIMA_PERSONAS_DIR to it when you start the mesh.",
        )
    try:
        target = create_persona(chosen, name)
    except PersonaError as error:
        fail("; ".join(error.problems))
    results.print(str(target))
    check_it = f"anima persona check {name}" + (f" --folder {folder}" if folder else "")
    console.print(f"Edit persona.toml and corpus/, then run: {check_it}", soft_wrap=True)
