"""Which sentence encoder is used: that of the settings, or another that is installed instead."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from services.runtime.errors import FailedPrecondition
from services.runtime.models.store import ModelStore
from services.runtime.observing.logs import get_logger

DEFAULT_ENCODER: Final = "multilingual-e5-small"
"""The encoder of a fresh installation, for all languages."""
ENGLISH_ENCODER: Final = "minilm-l6-v2"
"""The encoder of older installations; it knows English only."""


def installed_encoder(models: ModelStore, name: str) -> tuple[str, Path]:
    """Returns the encoder to load, and its folder.

    Args:
        models: The store.
        name: The encoder that is wanted. If it is missing, an older one that is present is used
            instead, with a warning, until the wanted one is pulled.

    Raises:
        FailedPrecondition: Neither is present; the text names the command to pull the wanted one.
        NotFound: The store knows no such model.
    """
    try:
        return name, models.path(name)
    except FailedPrecondition as missing:
        other = models.instead_of(name)
        if not other:
            raise
        try:
            folder = models.path(other)
        except FailedPrecondition:
            raise missing from None
        get_logger().warning("an older encoder is used instead", encoder=other, why=missing.message)
        return other, folder


def is_multilingual(model_id: str) -> bool:
    """Returns whether the vectors of a model compare texts of all languages."""
    return model_id.partition("@")[0] == DEFAULT_ENCODER
