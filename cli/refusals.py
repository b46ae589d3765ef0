"""Explains failed calls to the user of the command line."""

from __future__ import annotations

from typing import Final, NamedTuple

import grpc

from services.runtime.errors import DETAILS_KEY, error_from_rpc

CALLER: Final = "anima"
"""The name of the command in tokens that it signs, where it has the key."""

_OPTIONS: Final = {
    "text.text": "the question",
    "config.user_id": "--user",
    "config.persona": "--persona",
    "config.language": "--language",
    "config.voice": "--voice",
    "config.avatar": "--avatar",
}
"""The protocol fields that are set by options of commands."""


class Refusal(NamedTuple):
    """Why a call failed and what to do about it; `remedy` may be empty."""

    problem: str
    remedy: str


def refusal(error: grpc.aio.AioRpcError, *, service: str, target: str) -> Refusal:
    """Returns the reason of a failed call and the remedy.

    Args:
        error: The error raised by the call.
        service: The called service, such as "gateway".
        target: Its address.
    """
    answered = any(key == DETAILS_KEY for key, _ in error.trailing_metadata() or ())
    if error.code() == grpc.StatusCode.UNAVAILABLE and not answered:
        return Refusal(f"no {service} answers at {target}.", "Start a mesh with: anima up")
    if error.code() == grpc.StatusCode.UNIMPLEMENTED:
        return Refusal(
            f"the server at {target} is not the {service} service.", "Check the address."
        )
    if error.code() == grpc.StatusCode.UNAUTHENTICATED:
        understood = error_from_rpc(error)
        if understood.reason == "TOKEN_EXPIRED":
            return Refusal("the token in ANIMA_TOKEN has expired.", "Get a new one.")
        problem = f"the {service} at {target} requires a token."
        return Refusal(problem, "Set ANIMA_TOKEN to the token of that mesh.")
    return Refusal(in_words(error_from_rpc(error).message), "")


def in_words(message: str) -> str:
    """Returns a message with the option in place of the protocol field."""
    field, colon, rest = message.partition(":")
    return f"{_OPTIONS[field]}{colon}{rest}" if field in _OPTIONS else message
