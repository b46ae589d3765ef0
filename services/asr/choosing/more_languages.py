"""What an operator can do so that more languages are understood."""

from typing import Final

from services.asr.choosing.choice import choose_engine
from services.asr.choosing.whisper import missing_steps
from services.asr.settings import AsrSettings

OF_MANY_LANGUAGES: Final = frozenset({"auto", "whisper"})
"""The engines that use Whisper."""


def how_to_hear_more(settings: AsrSettings) -> str:
    """Returns what to do so that Whisper's languages are understood; files are read."""
    restart = "restart Anima"
    if settings.engine and choose_engine(settings).engine not in OF_MANY_LANGUAGES:
        restart = "start Anima with ANIMA_ASR_ENGINE=auto"
    commands = " && ".join(missing_steps(settings))
    return f"{commands}, then {restart}" if commands else restart
