"""Finds missing models of a mesh, and the command that installs them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Final

from rich.markup import escape

from cli.console import console
from memory.settings import MemorySettings
from services.asr.choosing.choice import BEST_MODEL, needs_model
from services.asr.settings import AsrSettings
from services.llm.settings import NO_MODEL, LlmSettings
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelStore, StoredModel

_DATA_DIR: Final = "ANIMA_DATA_DIR"


def missing_models(settings: Mapping[str, ServiceSettings]) -> list[StoredModel]:
    """Returns the models that a mesh uses and that are missing or damaged.

    Args:
        settings: The settings of the services by name. Services also work without the models, but
            worse; `Model.without` says how.
    """
    compared = {
        (each.embedding_model, each.data_dir)
        for each in settings.values()
        if isinstance(each, LlmSettings | MemorySettings) and not getattr(each, "embeddings", "")
    }
    compared |= {
        (each.english_model, each.data_dir)
        for each in settings.values()
        if isinstance(each, LlmSettings) and each.embedding_model != NO_MODEL
    }
    fields = LlmSettings.model_fields
    encoders = {fields[name].default for name in ("embedding_model", "english_model")}
    listening = [each for each in settings.values() if isinstance(each, AsrSettings)]
    needed = any(needs_model(each) for each in listening)
    spared = encoders if needed else {*encoders, BEST_MODEL}
    found: dict[str, StoredModel] = {}
    for folder in sorted({each.data_dir for each in settings.values()}):
        for stored in ModelStore(folder / "models").lacking():
            other = stored.model.embedded and stored.name not in spared
            if other or (stored.name, folder) in compared:
                found[stored.name] = stored
    return list(found.values())


def warn_about(models: list[StoredModel]) -> None:
    """Prints the missing models and the command to install them."""
    if not models:
        return
    for each in models:
        what = f"[bold yellow]The model {each.name} is {each.state}[/]"
        where = f"in {each.folder.parent}: {each.model.description}. {each.model.without}"
        console.print(f"{what} {escape(where)}", soft_wrap=True)
    console.print(
        f"Run this, then restart Anima:\n  [bold]{escape(pull_command(models))}[/]\n",
        soft_wrap=True,
    )


def pull_command(models: list[StoredModel]) -> str:
    """Returns the command that installs models in the services' data folder."""
    command = f"anima models pull {' '.join(each.name for each in models)}"
    folder = os.environ.get(_DATA_DIR)
    return f"{_DATA_DIR}={shlex.quote(folder)} {command}" if folder else command
