"""A model that is loaded while other engines speak already."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Generic, TypeVar

from services.runtime.config.settings import SettingsError
from services.runtime.errors import AnimaError
from services.tts.engine import EngineUnavailableError

T = TypeVar("T")


class Late(Generic[T]):
    """The place of a model until it is loaded; its methods may be called in any thread.

    Args:
        name: What is loaded, as the beginning of a sentence about its failure.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._future: Future[T] = Future()

    def load(self, make: Callable[[], T]) -> None:
        """Makes the model; does nothing after `close`.

        Raises:
            EngineUnavailableError: It cannot be loaded.
        """
        if not self._future.set_running_or_notify_cancel():
            return
        try:
            made = make()
        except (AnimaError, SettingsError, EngineUnavailableError, RuntimeError) as error:
            fault = EngineUnavailableError(f"{self._name}: {error}")
            self._future.set_exception(fault)
            raise fault from error
        except BaseException as error:
            self._future.set_exception(error)
            raise
        self._future.set_result(made)

    def get(self) -> T:
        """Returns the model; waits until it is loaded.

        Raises:
            EngineUnavailableError: It could not be loaded, or will not be any more.
        """
        try:
            return self._future.result()
        except CancelledError:
            raise EngineUnavailableError(f"{self._name}: the service is closing") from None

    def close(self) -> T | None:
        """Releases those who wait for a model that was never loaded; returns one that was."""
        if self._future.cancel() or not self._future.done() or self._future.exception():
            return None
        return self._future.result()
