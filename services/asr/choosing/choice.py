"""Chooses the recogniser where the settings name none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.asr.choosing.whisper import MODEL as WHISPER_MODEL
from services.asr.choosing.whisper import missing_steps
from services.asr.settings import AsrSettings
from services.runtime.engines import engine_names
from services.runtime.errors import AnimaError
from services.runtime.models.store import ModelStore

AUTO: Final = "auto"
BEST: Final = "moonshine"
BEST_MODEL: Final = "moonshine-tiny-en"
FALLBACK: Final = "pocketsphinx"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A recogniser and why it was chosen.

    Attributes:
        engine: Its name.
        reason: The reason, as a sentence without its first capital and full stop.
        is_best: False if a better one could be used after a pull.
    """

    engine: str
    reason: str
    is_best: bool = True


def needs_model(settings: AsrSettings) -> bool:
    """Returns whether a service with these settings uses the model `BEST_MODEL` if it can."""
    return settings.engine in ("", AUTO, BEST)


def choose_engine(settings: AsrSettings) -> Choice:
    """Returns the recogniser that a service with these settings uses.

    `auto` needs the model of Whisper, and understands English by the engine that is chosen without
    it: `moonshine`, which needs a model too, or `pocketsphinx`, which needs nothing. The hashes of
    the models are not checked.
    """
    if settings.engine:
        return Choice(engine=settings.engine, reason="ANIMA_ASR_ENGINE names it")
    english = _for_english(settings)
    if missing_steps(settings) or AUTO not in engine_names(settings.stage):
        return english
    own = settings.options.get("whisper_model")
    model = "the folder of ANIMA_ASR_WHISPER_MODEL" if own else WHISPER_MODEL
    return Choice(
        engine=AUTO,
        reason=f"{model} is installed; English by {english.engine}: {english.reason}",
        is_best=english.is_best,
    )


def _for_english(settings: AsrSettings) -> Choice:
    if BEST not in engine_names(settings.stage):
        return Choice(
            engine=FALLBACK,
            reason=f"the engine {BEST} is not installed: install Anima again",
            is_best=False,
        )
    try:
        ModelStore(settings.data_dir / "models").path(BEST_MODEL)
    except AnimaError as error:
        return Choice(engine=FALLBACK, reason=str(error), is_best=False)
    return Choice(engine=BEST, reason=f"its model {BEST_MODEL} is installed")
