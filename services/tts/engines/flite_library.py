"""flite through ctypes: Debian's libflite1 2.2 and its voices.

The declarations follow flite's headers of version 2.2 (cst_audio.h, cst_item.h, cst_utterance.h,
cst_wave.h). The statistical voices (slt, rms, awb) excite their filter with noise from libc's
rand(), which is shared by the process: all calls must come from one thread, and each call seeds it,
so that the same text always produces the same samples.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_float, c_int, c_short, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.tts.engine import EngineUnavailableError, Samples

VERSION = "2.2"
LIBRARY = "libflite.so.1"
_STREAM_CONTINUE, _STREAM_STOP = 0, -1
_MIN_STREAM_SAMPLES = 1600
_NOISE_SEED = 1


class _Wave(Structure):
    _fields_ = (
        ("type", c_char_p),
        ("sample_rate", c_int),
        ("num_samples", c_int),
        ("num_channels", c_int),
        ("samples", POINTER(c_short)),
    )


class _StreamingInfo(Structure):
    pass


_StreamCallback = CFUNCTYPE(c_int, POINTER(_Wave), c_int, c_int, c_int, POINTER(_StreamingInfo))
_StreamingInfo._fields_ = (  # refers to itself, so it cannot be in the class body
    ("min_buffsize", c_int),
    ("callback", _StreamCallback),
    ("utterance", c_void_p),
    ("item", c_void_p),
    ("user_data", c_void_p),
)


class _Utterance(Structure):
    _fields_ = (
        ("features", c_void_p),
        ("ffunctions", c_void_p),
        ("relations", c_void_p),
        ("context", c_void_p),
    )


@dataclass(frozen=True)
class FlitePhone:
    """A segment of an utterance.

    Attributes:
        name: In flite's US English phone set; "pau" is silence.
        stressed: Whether its syllable has lexical stress.
        char: The index of its token's first character in the text; 0 for silence.
        end_s: When it ends.
    """

    name: str
    stressed: bool
    char: int
    end_s: float


FliteItem = list[FlitePhone] | Samples
"""Output of synthesis: first the phones of the whole utterance, then its audio piece by piece."""


class FliteLibrary:
    """flite with its English front end and the installed voices.

    Attributes:
        sample_rate_hz: The rate of all voices.
    """

    sample_rate_hz = 16_000

    def __init__(self, voices: tuple[str, ...]) -> None:
        try:
            self._flite = _load(LIBRARY)
            # The voices' libraries expect their language and lexicon in the global name space.
            self._dependencies = [_load("libflite_cmulex.so.1"), _load("libflite_usenglish.so.1")]
        except OSError as error:
            raise EngineUnavailableError(
                f"flite is not installed ({error}); on Debian and Ubuntu: apt-get install libflite1"
            ) from error
        self._rand = ctypes.CDLL(None)
        self._declare()
        self._flite.flite_init()
        self._voices: dict[str, int] = {}
        for name in voices:
            try:
                library = _load(f"libflite_cmu_us_{name}.so.1")
            except OSError:
                continue
            register = library[f"register_cmu_us_{name}"]
            register.restype, register.argtypes = c_void_p, [c_char_p]
            self._voices[name] = register(None)
            self._dependencies.append(library)
        if not self._voices:
            raise EngineUnavailableError(f"flite has none of its voices {', '.join(voices)}")

    @property
    def voices(self) -> tuple[str, ...]:
        """The names of the installed voices."""
        return tuple(self._voices)

    def synthesize(
        self,
        text: str,
        *,
        voice: str,
        stretch: float,
        pitch: float,
        emit: Callable[[FliteItem], bool],
    ) -> None:
        """Speaks an ASCII text; emits its phones, then its audio, until `emit` returns False.

        Args:
            text: One phrase: its parameters are all computed before the first sample.
            voice: One of `voices`.
            stretch: Factor of all durations.
            pitch: Factor of the fundamental frequency.
            emit: Takes the phones and the audio, on the library's thread.
        """
        failure: list[BaseException] = []
        begun = False

        def receive(wave: Any, start: int, size: int, last: int, info: Any) -> int:
            nonlocal begun
            del last
            try:
                go_on = begun or emit(self._phones(info.contents.utterance, text))
                begun = True
                if go_on and size > 0:
                    whole = np.ctypeslib.as_array(wave.contents.samples, (start + size,))
                    go_on = emit(whole[start:].copy())
            except BaseException as error:
                # An exception cannot pass through the C frames below; it is raised after them.
                failure.append(error)
                return _STREAM_STOP
            return _STREAM_CONTINUE if go_on else _STREAM_STOP

        callback = _StreamCallback(receive)
        utterance = self._new_utterance(text, stretch, pitch, callback)
        try:
            self._rand.srand(_NOISE_SEED)
            self._flite.utt_init(utterance, self._voices[voice])
            # The streaming info belongs to the utterance and is freed with it.
            if not self._flite.utt_synth(utterance):
                raise RuntimeError(f"flite could not speak {text[:80]!r}")
        finally:
            self._flite.delete_utterance(utterance)
        if failure:
            raise failure[0]

    def _new_utterance(self, text: str, stretch: float, pitch: float, callback: Any) -> Any:
        utterance = self._flite.new_utterance()
        self._flite.utt_set_input_text(utterance, text.encode("ascii"))
        info = self._flite.new_audio_streaming_info()
        info.contents.min_buffsize = _MIN_STREAM_SAMPLES
        info.contents.callback = callback
        features = utterance.contents.features
        # Set on the utterance, because all streams share the voice.
        self._flite.feat_set(
            features, b"streaming_info", self._flite.audio_streaming_info_val(info)
        )
        self._flite.feat_set_float(features, b"duration_stretch", stretch)
        self._flite.feat_set_float(features, b"f0_shift", pitch)
        return utterance

    def _phones(self, utterance: int, text: str) -> FliteItem:
        chars = self._token_chars(utterance, text)
        phones: list[FlitePhone] = []
        for segment in self._items(utterance, b"Segment"):
            syllable = self._parent(segment, b"SylStructure")
            word = self._flite.item_parent(syllable) if syllable else None
            token = self._parent(word, b"Token") if word else None
            phones.append(
                FlitePhone(
                    name=self._flite.item_feat_string(segment, b"name").decode(),
                    stressed=bool(syllable)
                    and self._flite.flite_ffeature_string(syllable, b"stress") == b"1",
                    char=chars.get(token, 0),
                    end_s=self._flite.flite_ffeature_float(segment, b"end"),
                )
            )
        return phones

    def _token_chars(self, utterance: int, text: str) -> dict[int | None, int]:
        """Returns the start of each token.

        Whitespace and punctuation of tokens cannot be used: flite drops the full stop of "Dr."
        there.
        """
        chars: dict[int | None, int] = {}
        position = 0
        for token in self._items(utterance, b"Token"):
            name = self._flite.item_feat_string(token, b"name").decode("ascii")
            position = max(text.find(name, position), position)
            chars[token] = min(position, len(text) - 1)
            position += len(name)
        return chars

    def _items(self, utterance: int, relation: bytes) -> list[int]:
        items: list[int] = []
        item = self._flite.relation_head(self._flite.utt_relation(utterance, relation))
        while item:
            items.append(item)
            item = self._flite.item_next(item)
        return items

    def _parent(self, item: int, relation: bytes) -> int | None:
        related = self._flite.item_as(item, relation)
        parent: int | None = self._flite.item_parent(related) if related else None
        return parent

    def _declare(self) -> None:
        utterance = POINTER(_Utterance)
        info = POINTER(_StreamingInfo)
        declarations: tuple[tuple[str, Any, list[Any]], ...] = (
            ("new_utterance", utterance, []),
            ("utt_set_input_text", c_int, [utterance, c_char_p]),
            ("utt_init", c_void_p, [utterance, c_void_p]),
            ("utt_synth", c_void_p, [utterance]),
            ("delete_utterance", None, [utterance]),
            ("feat_set", None, [c_void_p, c_char_p, c_void_p]),
            ("feat_set_float", None, [c_void_p, c_char_p, c_float]),
            ("new_audio_streaming_info", info, []),
            ("audio_streaming_info_val", c_void_p, [info]),
            ("utt_relation", c_void_p, [c_void_p, c_char_p]),
            ("relation_head", c_void_p, [c_void_p]),
            ("item_next", c_void_p, [c_void_p]),
            ("item_as", c_void_p, [c_void_p, c_char_p]),
            ("item_parent", c_void_p, [c_void_p]),
            ("item_feat_string", c_char_p, [c_void_p, c_char_p]),
            ("flite_ffeature_string", c_char_p, [c_void_p, c_char_p]),
            ("flite_ffeature_float", c_float, [c_void_p, c_char_p]),
        )
        for name, result, arguments in declarations:
            function = getattr(self._flite, name)
            function.restype, function.argtypes = result, arguments


def _load(name: str) -> ctypes.CDLL:
    return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
