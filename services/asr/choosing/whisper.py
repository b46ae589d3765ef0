"""Whether Whisper can be used here, and what is missing for it."""

from importlib.util import find_spec
from typing import Final

from services.asr.settings import AsrSettings
from services.runtime.errors import AnimaError
from services.runtime.models.store import ModelStore

MODEL: Final = "whisper-base"
_PACKAGES: Final = ("ctranslate2", "opencc")


def missing_steps(settings: AsrSettings) -> list[str]:
    """Returns the commands that are still to be run before Whisper can be used.

    The hashes of the model are not checked.
    """
    steps = []
    if any(find_spec(package) is None for package in _PACKAGES):
        steps.append("pip install 'anima[whisper]'")
    if not settings.options.get("whisper_model") and not _is_present(settings):
        steps.append(f"anima models pull {MODEL}")
    return steps


def _is_present(settings: AsrSettings) -> bool:
    try:
        ModelStore(settings.data_dir / "models").path(MODEL)
    except AnimaError:
        return False
    return True
