"""Strategies for what a WebSocket client sends: events, other texts, binary messages.

Types, fields and values are taken from the strings in the code of the edge, as a fuzzer's
dictionary, so that a new event is covered without a change.
"""

from __future__ import annotations

import ast
import enum
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.fuzz.messages import BLOBS, STRINGS
from tests.requirements import ROOT

SOURCES: Final = ("gateway/realtime", "gateway/webrtc")
_TYPE: Final = re.compile(r"[a-z_]+(\.[a-z0-9_]+)+")
_WORD: Final = re.compile(r"[a-zA-Z0-9_/-]{1,40}")

SDP: Final = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=recvonly\r\n"
    "a=rtpmap:96 H264/90000\r\na=ice-ufrag:aaaa\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\n"
    "a=setup:actpass\r\na=rtcp-mux\r\n"
)
CANDIDATE: Final = "candidate:1 1 udp 1 127.0.0.1 9 typ host"
RAW: Final = (
    "", "null", "[]", "{", "NaN", "1e999", '{"type":1}', '"\\ud800"', "[" * 5_000,
    '{"type":' * 2_000, '{"type":"x","event_id":"\\ud800"}', '{"type":"\\ud800"}',
    '{"type":"session.update","event_id":{"a":[]},"session":5}', '{"type":"x","type":"y"}',
)  # fmt: skip
"""Texts that are not an event, or hardly one."""


class Kind(enum.Enum):
    """The kinds of WebSocket messages."""

    TEXT = "text"
    BINARY = "binary"
    FRAGMENTS = "text in fragments"


@dataclass(frozen=True)
class Sent:
    """One message: its kind and its bytes; a text need not be valid UTF-8."""

    kind: Kind
    data: bytes

    def __repr__(self) -> str:
        return f"{self.kind.value} {self.data[:200]!r}"


@cache
def dictionary() -> tuple[str, ...]:
    """Returns the strings in the code of the edge."""
    found = {each for folder in SOURCES for each in _strings(folder)}
    return tuple(sorted(found))


def _strings(folder: str) -> Iterator[str]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@cache
def types() -> tuple[str, ...]:
    """Returns the names of all events, of clients and of the server."""
    return tuple(each for each in dictionary() if _TYPE.fullmatch(each))


@cache
def words() -> tuple[str, ...]:
    """Returns the names of fields, and of what they may hold."""
    return tuple(each for each in dictionary() if _WORD.fullmatch(each))


def values() -> SearchStrategy[Any]:
    """Returns a strategy for JSON values."""
    scalars = (
        st.none()
        | st.booleans()
        | st.sampled_from((0, 1, -1, 24_000, 2**31, 2**53, 2**63, 10**30))
        | st.floats()
        | st.sampled_from((*STRINGS, "\ud800", SDP, CANDIDATE, "AAAA" * 160))
        | st.sampled_from(words())
    )
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(words()), inner, max_size=3)
        ),
        max_leaves=6,
    )


def plausible() -> SearchStrategy[dict[str, Any]]:
    """Returns a strategy for events as a page sends them."""
    text = {"type": "input_text", "text": "Who are you?"}
    item = {"type": "message", "role": "user", "content": [text]}
    media = st.sampled_from(("fmp4", "pcm")).map(
        lambda name: {"type": "session.update", "session": {"anima": {"media": name}}}
    )
    return media | st.sampled_from(
        (
            {"type": "session.update", "session": {"output_modalities": ["text"]}},
            {"type": "conversation.item.create", "item": item},
            {"type": "response.create"},
            {"type": "response.cancel"},
            {"type": "input_audio_buffer.append", "audio": "AAAA" * 160},
            {"type": "input_audio_buffer.commit"},
            {"type": "anima.webrtc.offer", "sdp": SDP},
            {"type": "anima.webrtc.candidate", "candidate": CANDIDATE, "sdpMid": "0"},
            {"type": "anima.webrtc.hang_up"},
        )
    )


def events() -> SearchStrategy[dict[str, Any]]:
    """Returns a strategy for events, some of them as pages send them."""
    wild = st.builds(
        lambda kind, fields: {**fields, "type": kind},
        st.sampled_from(types()),
        st.dictionaries(st.sampled_from(words()), values(), max_size=4),
    )
    changed = st.builds(
        lambda event, field, value: {**event, field: value},
        plausible(),
        st.sampled_from(words()),
        values(),
    )
    return plausible() | changed | wild


def messages() -> SearchStrategy[Sent]:
    """Returns a strategy for single messages."""
    texts = (events().map(json.dumps) | st.sampled_from(RAW)).map(str.encode)
    return (
        texts.map(lambda data: Sent(Kind.TEXT, data))
        | texts.map(lambda data: Sent(Kind.TEXT, data))
        | texts.map(lambda data: Sent(Kind.FRAGMENTS, data))
        | st.sampled_from(BLOBS).map(lambda data: Sent(Kind.BINARY, data))
        | st.binary(max_size=40).map(lambda data: Sent(Kind.TEXT, data))
    )


def connections() -> SearchStrategy[list[list[Sent]]]:
    """Returns a strategy for what several clients send at the same time."""
    return st.lists(st.lists(messages(), min_size=1, max_size=30), min_size=2, max_size=4)
