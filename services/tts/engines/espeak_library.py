"""eSpeak NG through ctypes: the library of the wheel `espeakng-loader`, in synchronous mode.

The declarations follow espeak-ng/speak_lib.h of version 1.52. Everything in the library is global,
so one user at a time has it.
"""

from __future__ import annotations

import _ctypes
import ctypes
import threading
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_int,
    c_short,
    c_ubyte,
    c_uint,
    c_void_p,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import espeakng_loader
import numpy as np

from services.tts.engine import EngineUnavailableError, Samples

_SYNCHRONOUS = 2
_BUFFER_MS = 100
_PHONEME_EVENTS, _PHONEMES_IN_IPA, _DO_NOT_EXIT = 0x1, 0x2, 0x8000
_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4

_WORD, _PHONEME = 1, 7

_in_use = threading.Lock()


class _EventStruct(Structure):
    _fields_ = (
        ("type", c_int),
        ("unique_identifier", c_uint),
        ("text_position", c_int),
        ("length", c_int),
        ("audio_position", c_int),
        # The header says "internal use". It is the exact sample; audio_position is truncated to ms.
        ("sample", c_int),
        ("user_data", c_void_p),
        ("phoneme", c_ubyte * 8),
    )


class _VoiceStruct(Structure):
    _fields_ = (
        ("name", c_char_p),
        ("languages", c_void_p),
        ("identifier", c_char_p),
        ("gender", c_ubyte),
        ("age", c_ubyte),
        ("variant", c_ubyte),
        ("xx1", c_ubyte),
        ("score", c_int),
        ("spare", c_void_p),
    )


_Callback = CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(_EventStruct))


@dataclass(frozen=True)
class EspeakVoice:
    """A voice file.

    Attributes:
        identifier: Its path below the folder `lang`.
        name: The name shown to users.
        languages: Tags by ascending priority number; a lower number means a better voice for it.
    """

    identifier: str
    name: str
    languages: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class WordEvent:
    """The start of a word: `char` is the index of a character of the text."""

    char: int
    sample: int


@dataclass(frozen=True)
class PhonemeEvent:
    """The start of a phoneme: IPA with stress, "" for a pause, "(en)" at a language change."""

    ipa: str
    sample: int


EspeakEvent = WordEvent | PhonemeEvent


class EspeakLibrary:
    """One fresh copy of the library, to be used once in a `with` statement.

    Other threads that want one wait until it is closed: two would share their variables.

    eSpeak's output depends on everything it has spoken before: its pitch flutter, noise and wave
    phase are in static variables that nothing resets (espeak-ng 1.52, wavegen.c). Unloading and
    reloading the library takes 0.6 ms and makes the output reproducible. (It leaks 2 KB of heap.)

    Attributes:
        sample_rate_hz: The rate of all voices.
    """

    def __enter__(self) -> Self:
        """Loads the library.

        Raises:
            EngineUnavailableError: It or its data cannot be loaded.
        """
        _in_use.acquire()
        try:
            self._load()
        except BaseException:
            _in_use.release()
            raise
        return self

    def _load(self) -> None:
        try:
            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise EngineUnavailableError(f"eSpeak NG cannot be loaded: {error}") from error
        self._data = Path(espeakng_loader.get_data_path())
        self._library.espeak_Info.restype = c_char_p
        self._library.espeak_ListVoices.restype = POINTER(POINTER(_VoiceStruct))
        self._library.espeak_Synth.argtypes = [
            c_char_p, ctypes.c_size_t, c_uint, c_int, c_uint, c_uint, c_void_p, c_void_p,
        ]  # fmt: skip
        self.sample_rate_hz: int = self._library.espeak_Initialize(
            _SYNCHRONOUS,
            _BUFFER_MS,
            bytes(self._data),
            _PHONEME_EVENTS | _PHONEMES_IN_IPA | _DO_NOT_EXIT,
        )
        if self.sample_rate_hz <= 0:
            raise EngineUnavailableError("eSpeak NG cannot read its data files")

    def __exit__(self, *_: object) -> None:
        """Frees the library's memory and unloads it."""
        try:
            self._library.espeak_Terminate()
            _ctypes.dlclose(self._library._handle)
        finally:
            _in_use.release()

    @property
    def version(self) -> str:
        """The version, such as "1.52.0"."""
        info: bytes = self._library.espeak_Info(None)
        return info.decode()

    def voices(self) -> list[EspeakVoice]:
        """Lists the usable voices.

        MBROLA voices need files that are not in the wheel, and a few languages have no dictionary
        there (1.52.0: fo, kaa, xex).
        """
        listed = self._library.espeak_ListVoices(None)
        voices: list[EspeakVoice] = []
        index = 0
        while listed[index]:
            voice = listed[index].contents
            index += 1
            identifier = voice.identifier.decode()
            if not identifier.startswith("mb/") and self._has_dictionary(identifier):
                name = voice.name.decode().strip()
                voices.append(EspeakVoice(identifier, name, _tags(voice.languages)))
        return voices

    def _has_dictionary(self, identifier: str) -> bool:
        language = identifier.rpartition("/")[2].partition("-")[0]
        for line in (self._data / "lang" / identifier).read_text("utf-8").splitlines():
            if line.startswith("dictionary"):
                language = line.split()[1]
        return (self._data / f"{language}_dict").exists()

    def synthesize(
        self, text: str, *, identifier: str, words_per_minute: int, pitch: tuple[int, int]
    ) -> tuple[Samples, list[EspeakEvent]]:
        """Speaks a text into memory.

        Args:
            text: Without control characters; markup is read as text.
            identifier: The voice.
            words_per_minute: 80 to 450.
            pitch: The base and the range, 0 to 100 each; 50 is the voice's own.
        """
        receiver = _Receiver()
        callback = _Callback(receiver.receive)
        self._library.espeak_SetSynthCallback(callback)
        voice = identifier.encode()
        self._check(self._library.espeak_SetVoiceByName(voice), f"voice {identifier}")
        self._check(self._library.espeak_SetParameter(_RATE, words_per_minute, 0), "rate")
        self._check(self._library.espeak_SetParameter(_PITCH, pitch[0], 0), "pitch")
        self._check(self._library.espeak_SetParameter(_RANGE, pitch[1], 0), "pitch range")
        data = text.encode() + b"\0"
        self._check(self._library.espeak_Synth(data, len(data), 0, 0, 0, _UTF8, None, None), "text")
        if receiver.error is not None:
            raise receiver.error
        return np.concatenate([np.zeros(0, np.int16), *receiver.audio]), receiver.events

    @staticmethod
    def _check(status: int, what: str) -> None:
        if status != 0:
            raise RuntimeError(f"eSpeak NG rejected the {what}: status {status}")


class _Receiver:
    """Collects the data passed to the library's callback."""

    def __init__(self) -> None:
        self.audio: list[Samples] = []
        self.events: list[EspeakEvent] = []
        self.error: BaseException | None = None

    def receive(self, samples: Any, count: int, events: Any) -> int:
        try:
            if samples and count > 0:
                self.audio.append(np.ctypeslib.as_array(samples, (count,)).copy())
            index = 0
            while events[index].type != 0:
                self._note(events[index])
                index += 1
        except BaseException as error:
            # An exception cannot pass through the C frames below; synthesize raises it.
            self.error = error
            return 1
        return 0

    def _note(self, event: _EventStruct) -> None:
        if event.type == _WORD:
            self.events.append(WordEvent(max(event.text_position - 1, 0), event.sample))
        elif event.type == _PHONEME:
            name = bytes(event.phoneme).split(b"\0", 1)[0]
            # A name is truncated at 8 bytes, perhaps inside a character.
            self.events.append(PhonemeEvent(name.decode(errors="ignore"), event.sample))


def _tags(address: int) -> tuple[tuple[int, str], ...]:
    """Reads eSpeak's list of (priority byte, zero-terminated tag), terminated by a zero byte."""
    tags: list[tuple[int, str]] = []
    while (priority := ctypes.string_at(address, 1)[0]) != 0:
        tag = ctypes.string_at(address + 1)
        tags.append((priority, tag.decode()))
        address += len(tag) + 2
    return tuple(sorted(tags, key=lambda item: item[0]))
