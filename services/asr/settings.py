"""The settings of the recognition service."""

from typing import ClassVar, Literal

from pydantic import Field

from services.runtime.config.settings import ServiceSettings

FinalPass = Literal["auto", "always", "never"]


class AsrSettings(ServiceSettings):
    """The settings of the recognition service, in addition to those of every service."""

    stage: ClassVar[str] = "asr"
    default_port: ClassVar[int] = 50051

    engine: str = ""
    """The name of an engine: an entry point in `anima.asr.engines`. Empty: `auto` if the extra and
    the model of Whisper are installed, otherwise `moonshine` if its model is, otherwise
    `pocketsphinx`."""
    capacity: int = Field(default=4, ge=1, le=10_000)
    """How many streams are recognised at the same time."""
    final_pass: FinalPass = "auto"  # noqa: S105 (not a password)
    """Whether an engine that decodes speech while it is spoken decodes each segment again as a
    whole
    when its end is expected: "always", "never", or "auto", which does so only where it causes no
    long wait, that is, for short utterances. On recorded speech it lowers the word error rate from
    25 % to 23 %."""
    final_pass_wait_ms: int = Field(default=100, ge=0, le=60_000)
    """How long "auto" may delay the transcript after the end of the utterance."""
