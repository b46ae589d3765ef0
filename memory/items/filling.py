"""Fills an answer with messages up to a size, so that it never exceeds the limit of gRPC."""

from collections.abc import Iterable
from typing import Final, TypeVar

from google.protobuf.message import Message

MAX_ANSWER_BYTES: Final = 1024 * 1024
"""The size of lists in an answer; the limit of a message is 4 MiB by default."""
_SHARE_OF_MESSAGE: Final = 2
# The tag and the length of an embedded message.
_OVERHEAD_BYTES: Final = 8

M = TypeVar("M", bound=Message)


def max_answer_bytes(max_message_bytes: int) -> int:
    """Returns the size of lists in an answer, for the limit of a message in bytes."""
    return min(MAX_ANSWER_BYTES, max_message_bytes // _SHARE_OF_MESSAGE)


class Room:
    """The room that is left in an answer."""

    def __init__(self, max_bytes: int) -> None:
        self._left_bytes = max_bytes

    def add(self, more_bytes: int) -> None:
        """Adds room."""
        self._left_bytes += more_bytes

    def fill(self, messages: Iterable[M]) -> list[M]:
        """Returns the messages that fit, up to the first one that does not."""
        taken: list[M] = []
        for message in messages:
            size_bytes = message.ByteSize() + _OVERHEAD_BYTES
            if size_bytes > self._left_bytes:
                break
            self._left_bytes -= size_bytes
            taken.append(message)
        return taken


def fitting(messages: Iterable[M], max_bytes: int) -> list[M]:
    """Returns the messages that fit into a page; at least one, so that a list comes to its end."""
    some = list(messages)
    return Room(max_bytes).fill(some) or some[:1]
