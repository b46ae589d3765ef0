"""Strategies for protobuf messages, built from their descriptors.

A message is either plausible, with values that fit the names of its fields, or wild, with the
boundaries of their types. A new field needs no entry here: units are part of the names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

_MOST_DEPTH: Final = 4
_F = FieldDescriptor
_RANGES: Final = {
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32), (-(2**31), 2**31 - 1)),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), (-(2**63), 2**63 - 1)),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), (0, 2**32 - 1)),
    **dict.fromkeys((_F.TYPE_UINT64, _F.TYPE_FIXED64), (0, 2**64 - 1)),
}
_NUMBERS: Final = (
    0, 1, 2, 3, 7, 99, 255, 256, 512, 1920, 4096, 7999, 8000, 48_000, 48_001, 65_535, 65_536,
    2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**62, 2**63 - 1, 2**64 - 1, -1, -(2**31), -(2**63),
)  # fmt: skip
_PLAUSIBLE_NUMBERS: Final = {
    "sample_rate_hz": (16_000,),
    "frame_rate_hz": (25,),
    "_px": (256,),
    "_ms": (0, 100, 500),
    "_us": (0, 1_000),
    "epoch": (1, 2, 3),
    "start_sample": (0,),
    "_percent": (100,),
    "page_size": (10,),
    "max_": (3,),
}
_PLAUSIBLE_TEXTS: Final = {
    "persona": ("anima",),
    "avatar": ("anima", "leo"),
    "language": ("en", "zh"),
    "voice": ("slt",),
    "page_token": ("",),
    "document_id": ("a" * 64,),
    "sha256": ("",),
    "metadata_json": ('{"a": 1}',),
    "parameters_json_schema": ('{"type": "object", "properties": {}}',),
    "_json": ("{}",),
    "_id": ("fuzz-1", "fuzz-2"),
    "file_name": ("notes.txt", "notes.md", "notes.html"),
    "name": ("fuzz",),
    "query": ("What is my name?",),
    "licence": ("CC-BY-4.0",),
    "consent": ("A picture that a test has drawn.",),
}
STRINGS: Final = (
    "", " ", "\t", "\0", "?", "*", "-1", "é", "e\u0301", "\u202e", "\ud7ff", "\uffff",
    "\U0001f600" * 50, "a.b", "A_b-c.9", "con", "../../etc/passwd", "..\\..", "file:///etc/passwd",
    "http://127.0.0.1:9/", "a" * 64, "a" * 65, "a" * 128, "a" * 129, "x" * 8_000, "x" * 8_001,
    "9" * 400, "%s%n{0}", "\r\nx: y", "'; DROP TABLE item; --", "<b>&amp;</b>", "[[[[", "{" * 3_000,
    "-->", "Who are you?", "My name is Ada and I live in Paris.", "Stop.", "text/plain",
)  # fmt: skip
"""Texts at the boundaries of what the contract accepts, and what other formats give a meaning."""
BLOBS: Final = (
    b"", b"\0", b"\0\0\0", bytes(640), b"\xff\x7f" * 320, bytes(641), bytes(65_536), bytes(65_538),
    b"\x89PNG\r\n\x1a\n", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"PK\x03\x04", b"%PDF-1.7\n",
)  # fmt: skip


def messages(descriptor: Descriptor) -> SearchStrategy[Message]:
    """Returns a strategy for messages of a type, plausible or wild."""
    return st.booleans().flatmap(lambda plausible: _message(descriptor, plausible, 0))


@st.composite
def messages_with(draw: DrawFn, descriptor: Descriptor, arm: str) -> Message:
    """Draws a message whose oneof is set to a field, such as the `config` of a request."""
    plausible = draw(st.integers(0, 3)) > 0
    message = _new(descriptor)
    _set(draw, message, descriptor.fields_by_name[arm], plausible, 0)
    return message


@st.composite
def _message(draw: DrawFn, descriptor: Descriptor, plausible: bool, depth: int) -> Message:
    message = _new(descriptor)
    oneofs = [each for each in descriptor.oneofs if len(each.fields) > 1]
    chosen = {draw(st.sampled_from(list(each.fields))).name for each in oneofs}
    within = {field.name for each in oneofs for field in each.fields}
    for field in descriptor.fields:
        if field.name in within:
            if field.name in chosen:
                _set(draw, message, field, plausible, depth)
        elif draw(st.integers(0, 9)) < (9 if plausible else 7):
            _set(draw, message, field, plausible, depth)
    return message


def _new(descriptor: Descriptor) -> Message:
    made: Message = GetMessageClass(descriptor)()
    return made


def _set(
    draw: DrawFn, message: Message, field: FieldDescriptor, plausible: bool, depth: int
) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _set_map(draw, getattr(message, field.name), field, plausible)
    elif field.is_repeated:
        count = draw(st.sampled_from((0, 1, 1, 2) if plausible else (0, 1, 3, 40)))
        _set_list(draw, getattr(message, field.name), field, count, plausible, depth)
    elif field.message_type is None:
        setattr(message, field.name, draw(_value(field, plausible)))
    elif depth < _MOST_DEPTH:
        inner = getattr(message, field.name)
        inner.SetInParent()
        inner.CopyFrom(draw(_message(field.message_type, plausible, depth + 1)))


def _set_list(
    draw: DrawFn, values: Any, field: FieldDescriptor, count: int, plausible: bool, depth: int
) -> None:
    if field.message_type is None:
        values.extend(draw(_value(field, plausible)) for _ in range(count))
    elif depth < _MOST_DEPTH and count:
        # Equal elements, because drawing 40 messages takes longer than a server needs for them.
        one = draw(_message(field.message_type, plausible, depth + 1))
        values.extend([one] * count)


def _set_map(draw: DrawFn, values: Any, field: FieldDescriptor, plausible: bool) -> None:
    entry: Any = field.message_type
    of_key, of_value = (entry.fields_by_name[each] for each in ("key", "value"))
    if of_value.message_type is not None:
        return
    for _ in range(draw(st.integers(0, 3))):
        values[draw(_value(of_key, plausible))] = draw(_value(of_value, plausible))


def _value(field: FieldDescriptor, plausible: bool) -> SearchStrategy[Any]:
    return _STRATEGIES.get(field.type, _number)(field, plausible)


def _string(field: FieldDescriptor, plausible: bool) -> SearchStrategy[str]:
    if plausible:
        return st.sampled_from(
            _fitting(_PLAUSIBLE_TEXTS, field.name, ("Who are you?", "I am Ada."))
        )
    return st.sampled_from(STRINGS) | st.text(max_size=20)


def _bytes(field: FieldDescriptor, plausible: bool) -> SearchStrategy[bytes]:
    if plausible:
        return st.sampled_from((bytes(640), b"\1\2" * 800, b"The office opens at nine."))
    return st.sampled_from(BLOBS) | st.binary(max_size=40)


def _bool(field: FieldDescriptor, plausible: bool) -> SearchStrategy[bool]:
    return st.booleans()


def _enum(field: FieldDescriptor, plausible: bool) -> SearchStrategy[int]:
    of_enum: Any = field.enum_type
    numbers = [value.number for value in of_enum.values]
    # The value 0 is UNSPECIFIED, which not every field accepts.
    return st.sampled_from(numbers[1:2] if plausible else [*numbers, 99, -5])


def _float(field: FieldDescriptor, plausible: bool) -> SearchStrategy[float]:
    if plausible:
        return st.sampled_from((0.0, 0.5, 1.0))
    return st.floats(width=32 if field.type == _F.TYPE_FLOAT else 64)


def _number(field: FieldDescriptor, plausible: bool) -> SearchStrategy[int]:
    if plausible:
        return st.sampled_from(_fitting(_PLAUSIBLE_NUMBERS, field.name, (0, 1)))
    least, most = _RANGES[field.type]
    inside = [each for each in _NUMBERS if least <= each <= most]
    return st.sampled_from(inside) | st.integers(least, most)


def _fitting(table: dict[str, tuple[Any, ...]], name: str, otherwise: tuple[Any, ...]) -> Any:
    return next((values for part, values in table.items() if part in name), otherwise)


_STRATEGIES: Final[dict[int, Callable[[FieldDescriptor, bool], SearchStrategy[Any]]]] = {
    _F.TYPE_STRING: _string,
    _F.TYPE_BYTES: _bytes,
    _F.TYPE_BOOL: _bool,
    _F.TYPE_ENUM: _enum,
    _F.TYPE_FLOAT: _float,
    _F.TYPE_DOUBLE: _float,
}
