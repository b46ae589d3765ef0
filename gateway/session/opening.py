"""Opens a session: checks the config and looks up the names in it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import langcodes

from anima.avatar.v1 import avatar_pb2 as avatar
from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from anima.tts.v1 import tts_pb2 as tts
from gateway.stages.catalogue import Catalogue
from gateway.stages.route import Route
from gateway.stages.spec import AnswerKind, needed_for
from gateway.turn.speaking.manner import FASTEST_PERCENT, SLOWEST_PERCENT
from gateway.wording.book import DEFAULT
from services.runtime.errors import InvalidRequest, NotFound, Unavailable
from services.runtime.validation import check_name, check_range, check_rate, check_turn_id
from services.runtime.video_limits import check_video
from text.languages import spoken

T = TypeVar("T", llm.Persona, tts.Voice, avatar.Avatar)

_TIME_ZONE = re.compile(r"[A-Za-z0-9_+/-]{0,64}")
_MAX_NAME_CHARS = 64
_MAX_USER_ID_CHARS = 128
_MAX_ENDPOINTING_MS = 600_000
_DEFAULT_INPUT_RATE_HZ = 16_000


@dataclass(frozen=True, kw_only=True)
class Opening:
    """The parameters of an open session, with defaults filled in.

    Attributes:
        config: The client's config, checked.
        session_id: The id of the session.
        persona: The persona that answers.
        avatar: The name of the avatar; empty: the service's first.
        voices: The voices of the mesh.
        video: The video format; None without video.
        listen_language: BCP-47 language of speech and of notices.
        input_rate_hz: Samples per second of microphone audio.
        route: Where the calls of the session go.
    """

    config: pb.ConverseConfig
    session_id: str
    persona: llm.Persona
    avatar: str
    voices: Sequence[tts.Voice]
    video: common.VideoFormat | None
    listen_language: str
    input_rate_hz: int
    route: Route

    @property
    def speech(self) -> bool:
        """True if audio is made."""
        return not self.config.text_only

    @property
    def paced(self) -> bool:
        """True if media is sent in real time."""
        return self.config.pacing != pb.PACING_AS_MADE


def check_config(config: pb.ConverseConfig) -> None:
    """Rejects a config with an invalid field.

    Raises:
        InvalidRequest: The text names the field.
    """
    if config.session_id:
        check_turn_id("config.session_id", config.session_id)
    check_name("config.user_id", config.user_id, _MAX_USER_ID_CHARS, min_chars=0)
    for field in ("persona", "voice", "avatar"):
        check_name(f"config.{field}", getattr(config, field), _MAX_NAME_CHARS, min_chars=0)
    if not _TIME_ZONE.fullmatch(config.time_zone):
        raise InvalidRequest(
            f"config.time_zone: {config.time_zone[:80]!r} is not a name such as Europe/Berlin"
        )
    notices_in = config.notice_language
    if notices_in and not langcodes.tag_is_valid(notices_in[:_MAX_NAME_CHARS]):
        raise InvalidRequest(
            f"config.notice_language: {notices_in[:_MAX_NAME_CHARS]!r} is not a BCP-47 language"
        )
    if config.language and not langcodes.tag_is_valid(config.language[:_MAX_NAME_CHARS]):
        raise InvalidRequest(
            f"config.language: {config.language[:_MAX_NAME_CHARS]!r} is not a BCP-47 language"
        )
    if config.input_sample_rate_hz:
        check_rate("config.input_sample_rate_hz", config.input_sample_rate_hz)
    if config.text_only and config.audio_only:
        raise InvalidRequest("config.audio_only: cannot be combined with text_only")
    if config.pacing not in pb.Pacing.values():
        raise InvalidRequest(f"config.pacing: {config.pacing} is not a known pacing")
    if config.rate_percent:
        check_range("config.rate_percent", config.rate_percent, SLOWEST_PERCENT, FASTEST_PERCENT)
    _check_video(config.video)
    for field in ("start_speech_ms", "guess_silence_ms", "end_silence_ms", "max_utterance_ms"):
        value = getattr(config.endpointing, field)
        check_range(f"config.endpointing.{field}", value, 0, _MAX_ENDPOINTING_MS)


def stages_of(config: pb.ConverseConfig) -> tuple[str, ...]:
    """Returns the names of the stages that every answer of a session needs."""
    return needed_for(_kind(config))


def _kind(config: pb.ConverseConfig) -> AnswerKind:
    if config.text_only:
        return AnswerKind.TEXT
    return AnswerKind.SPEECH if config.audio_only else AnswerKind.VIDEO


def open_with(config: pb.ConverseConfig, catalogue: Catalogue) -> Opening:
    """Looks up the names in a checked config.

    Raises:
        NotFound: The persona, voice or avatar is unknown; the text lists the known ones.
        Unavailable: The language model has never answered, so no persona is known.
    """
    if not catalogue.personas:
        raise Unavailable("the language model does not respond, so no session can start; try again")
    persona = _find("config.persona", config.persona, catalogue.personas)
    if config.voice and catalogue.voices:
        _find("config.voice", config.voice, catalogue.voices)
    face = _face(config, persona, catalogue.avatars)
    # Where some avatars are left out, a name that is not listed may be that of another user.
    unlisted = config.avatar if catalogue.is_whole else ""
    name = face.name if face is not None else unlisted
    languages = persona.languages
    session_id = config.session_id or uuid.uuid4().hex
    return Opening(
        config=config,
        session_id=session_id,
        persona=persona,
        avatar=name,
        voices=catalogue.voices,
        video=_video(config, face),
        listen_language=config.language or _likeliest(config.notice_language, languages),
        input_rate_hz=config.input_sample_rate_hz or _DEFAULT_INPUT_RATE_HZ,
        route=Route(session_id=session_id, persona=persona.name, answers=_kind(config)),
    )


def _likeliest(notice_language: str, languages: Sequence[str]) -> str:
    """Returns the language that a person who has chosen none probably speaks.

    It is that of the client's notices, if the persona knows it.
    """
    if not languages:
        return notice_language or DEFAULT
    return spoken(notice_language, languages) or languages[0]


def _face(
    config: pb.ConverseConfig, persona: llm.Persona, avatars: Sequence[avatar.Avatar]
) -> avatar.Avatar | None:
    if not avatars:
        return None
    if config.avatar:
        return _find("config.avatar", config.avatar, avatars)
    return next((each for each in avatars if each.name == persona.avatar), avatars[0])


def _find(field: str, name: str, known: Sequence[T]) -> T:
    if not name:
        return known[0]
    for each in known:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in known)
    raise NotFound(f"{field}: {name!r} is not known; there are: {names}")


def _check_video(video: common.VideoFormat) -> None:
    if video.codec not in common.VideoCodec.values():
        raise InvalidRequest(f"config.video.codec: {video.codec} is not a known codec")
    check_video(
        "config.video",
        width_px=video.width_px,
        height_px=video.height_px,
        frame_rate_hz=video.frame_rate_hz,
    )


def _video(config: pb.ConverseConfig, face: avatar.Avatar | None) -> common.VideoFormat | None:
    if config.text_only or config.audio_only:
        return None
    video = common.VideoFormat()
    if face is not None:
        video.CopyFrom(face.video)
    # Fields that are 0 in the config do not overwrite those of the avatar.
    video.MergeFrom(config.video)
    return video
