"""What an operator can do so that more languages are understood."""

from importlib.util import find_spec
from typing import Final

from services.asr.choosing.choice import choose_engine
from services.asr.settings import AsrSettings
from services.runtime.errors import AnimaError
from services.runtime.models.store import ModelStore

MODEL: Final = "whisper-base"
OF_MANY_LANGUAGES: Final = frozenset({"auto", "whisper"})
"""The engines that use Whisper."""
_PACKAGES: Final = ("ctranslate2", "opencc")


def missing_steps(settings: AsrSettings) -> list[str]:
    """Returns the commands that are still to be run before Whisper can be used."""
    steps = []
    if any(find_spec(package) is None for package in _PACKAGES):
        steps.append("pip install 'anima[whisper]'")
    if not settings.options.get("whisper_model") and not _is_present(settings):
        steps.append(f"anima models pull {MODEL}")
    return steps


def how_to_hear_more(settings: AsrSettings) -> str:
    """Returns what to do so that Whisper's languages are understood; files are read."""
    commands = " && ".join(missing_steps(settings))
    restart = "restart Anima"
    if choose_engine(settings).engine not in OF_MANY_LANGUAGES:
        restart = "start Anima with ANIMA_ASR_ENGINE=auto"
    return f"{commands}, then {restart}" if commands else restart


def _is_present(settings: AsrSettings) -> bool:
    try:
        ModelStore(settings.data_dir / "models").path(MODEL)
    except AnimaError:
        return False
    return True
