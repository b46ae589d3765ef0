"""A client of the llm stage over gRPC, which is not used for a minute after a failure."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, cast

import grpc

from anima.llm.v1 import llm_pb2 as llm
from anima.llm.v1 import llm_pb2_grpc
from memory.settings import MemorySettings
from services.runtime.calls.channels import open_channel
from services.runtime.identity.call_tokens import CallToken, call_token
from services.runtime.identity.caller import Mode

if TYPE_CHECKING:  # this name exists only in the stubs' types
    from anima.llm.v1.llm_pb2_grpc import LlmServiceAsyncStub

_TIMEOUT_S: Final = 30.0
_PAUSE_S: Final = 60.0


class LanguageModel:
    """Sends prompts to an llm stage; must be created in the event loop.

    Args:
        target: The address of the llm stage.
        token: The token that it requires, or called for it; see `token_of`.
        now_s: A monotonic clock, s.
    """

    def __init__(
        self,
        target: str,
        *,
        token: str | CallToken | None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = open_channel(target, token=token)
        self._stub = cast("LlmServiceAsyncStub", llm_pb2_grpc.LlmServiceStub(self._channel))
        self._now_s = now_s
        self._paused_until_s = 0.0

    @property
    def is_left_alone(self) -> bool:
        """Whether the last failure was less than a minute ago."""
        return self._now_s() < self._paused_until_s

    def leave_alone(self) -> None:
        """Records a failure."""
        self._paused_until_s = self._now_s() + _PAUSE_S

    def ask(
        self, config: llm.GenerateConfig
    ) -> "grpc.aio.StreamStreamCall[llm.GenerateRequest, llm.GenerateResponse]":
        """Returns the call for a prompt; it fails after half a minute."""
        return self._stub.Generate(_once(config), timeout=_TIMEOUT_S)

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()


def token_of(settings: MemorySettings) -> CallToken:
    """Returns the token of calls to the llm stage.

    Raises:
        SettingsError: The key that signs it cannot be read.
    """
    if settings.llm_token or settings.mode is not Mode.IDENTITIES:
        return lambda: settings.llm_token
    return call_token(settings, settings.stage)


def _once(config: llm.GenerateConfig) -> Iterator[llm.GenerateRequest]:
    yield llm.GenerateRequest(config=config)
