"""`anima models`: the model files of engines, pulled in advance and never at request time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Final

import typer
from rich.markup import escape

from cli.console import console, fail, listing, print_table, progress, report
from services.asr.choosing.more_languages import how_to_hear_more
from services.asr.choosing.whisper import MODEL as WHISPER_MODEL
from services.asr.settings import AsrSettings
from services.runtime.config.settings import ServiceSettings
from services.runtime.errors import AnimaError
from services.runtime.models.store import ModelState, ModelStore, StoredModel

app = typer.Typer(help="List, pull and check model files.", no_args_is_help=True)

_LOOK_AGAIN_S: Final = 0.5


def model_store() -> ModelStore:
    """Returns the store used by the services."""
    return ModelStore(ServiceSettings.from_environment().data_dir / "models")


def _names(incomplete: str) -> list[str]:
    return [entry.name for entry in model_store().list() if entry.name.startswith(incomplete)]


@app.command("list")
def list_() -> None:
    """List the models with purpose, licence and state."""
    table = listing("name", "state", "MB", "licence", "from", "description")
    for entry in model_store().list():
        table.add_row(
            entry.name,
            f"{entry.state} {entry.detail}".strip(),
            f"{entry.model.size_bytes / 1e6:.0f}",
            entry.model.licence,
            entry.model.source.kind,
            entry.model.description,
        )
    print_table(table)


@app.command("pull")
def pull(
    names: Annotated[
        list[str] | None, typer.Argument(autocompletion=_names, help="Models to pull.")
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="All models of the default engines.")
    ] = False,
) -> None:
    """Pull models into the store and check them against their pinned sha256.

    A model that cannot be pulled does not keep the others from being pulled.
    """
    store = model_store()
    known = {entry.name: entry for entry in store.list()}
    wanted = _wanted(known, names, embedded=embedded)
    pulled = [_pull(store, known, name) for name in wanted]
    if not all(pulled):
        raise typer.Exit(1)
    if WHISPER_MODEL in wanted:
        steps = how_to_hear_more(AsrSettings.from_environment())
        console.print(f"To understand more languages: {escape(steps)}.", soft_wrap=True)


@app.command("check")
def check(
    names: Annotated[
        list[str] | None, typer.Argument(autocompletion=_names, help="Models to look for.")
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="All models of the default engines.")
    ] = False,
    wait_s: Annotated[
        float, typer.Option(min=0, help="Wait this long until they are installed.")
    ] = 0.0,
) -> None:
    """Check that models are installed, or that those used instead of them are; pull nothing.

    On a cluster pods wait with it for the job that fills the store.
    """
    store = model_store()
    ends = time.monotonic() + wait_s
    while lacking := _lacking(store, names, embedded=embedded):
        if time.monotonic() >= ends:
            fail(
                f"not installed: {', '.join(lacking)}.",
                remedy=f"Run: anima models pull {' '.join(lacking)}",
            )
        time.sleep(_LOOK_AGAIN_S)
    console.print("All of them are installed.")


def _lacking(store: ModelStore, names: list[str] | None, *, embedded: bool) -> list[str]:
    known = {entry.name: entry for entry in store.look()}
    present = {name for name, entry in known.items() if entry.state is ModelState.PRESENT}
    wanted = _wanted(known, names, embedded=embedded)
    return [n for n in wanted if n not in present and known[n].model.instead not in present]


def _wanted(
    known: Mapping[str, StoredModel], names: list[str] | None, *, embedded: bool
) -> list[str]:
    wanted = [*(names or []), *(name for name in known if embedded and known[name].model.embedded)]
    if not wanted:
        fail("no model given.", remedy="Name one of `anima models list`, or use --embedded.")
    for name in wanted:
        if name not in known:
            fail(f"unknown model {name}.", remedy=f"Known: {', '.join(known)}.")
    return wanted


def _pull(store: ModelStore, known: Mapping[str, StoredModel], name: str) -> bool:
    """Pulls a model, or the one that is used instead of it.

    Returns:
        False if the model itself could not be pulled; the reason was printed.
    """
    entry = known[name]
    if entry.state is ModelState.PRESENT:
        console.print(f"{entry.name} is already installed.")
        return True
    if (fault := _fault_of_pull(store, name)) is None:
        console.print(f"{entry.name} is installed.")
        return True
    report(f"{entry.name} could not be pulled: {fault}", remedy=entry.model.without)
    if entry.model.instead in known:
        _pull(store, known, entry.model.instead)
    return False


def _fault_of_pull(store: ModelStore, name: str) -> AnimaError | None:
    with progress(download=True) as display:
        task = display.add_task(name, total=None)

        def show(done: int, total: int | None, step: str) -> None:
            display.update(task, completed=done, total=total, description=f"{name}: {step}")

        try:
            store.pull(name, show)
        except AnimaError as error:
            return error
    return None
