"""A job that does nothing: shows whether workers can be started, and how they are confined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.runtime.sandbox.wire import Content


def prepare() -> None:
    """Does nothing."""


def perform(request: Mapping[str, Any], content: Content) -> tuple[Mapping[str, Any], Content]:
    """Returns nothing."""
    return {}, b""
