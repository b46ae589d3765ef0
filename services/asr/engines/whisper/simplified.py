"""Chinese in simplified characters; Whisper writes either script at whim."""

from typing import Final

_CHINESE: Final = frozenset({"zh"})


class Simplified:
    """Converts traditional to simplified characters, by OpenCC and its dictionaries.

    Raises:
        ImportError: OpenCC is not installed.
    """

    def __init__(self) -> None:
        # Imported here, because the module of an engine is imported for its options too.
        from opencc import OpenCC

        self._converter = OpenCC("t2s")

    def __call__(self, text: str, language: str) -> str:
        """Returns a text in simplified characters if it is Chinese, otherwise as it is."""
        return str(self._converter.convert(text)) if language in _CHINESE else text
