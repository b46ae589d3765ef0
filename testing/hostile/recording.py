"""Decodes recordings like the gateway, but obeys those that are commands for `job`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.http.ask import decoding
from services.runtime.sandbox.wire import Content
from testing.hostile import job

prepare = decoding.prepare


def perform(request: Mapping[str, Any], content: Content) -> tuple[Mapping[str, Any], Content]:
    """Decodes a recording, or does what a command says."""
    if bytes(content[:1]) == b"{":
        return job.perform({}, content)
    return decoding.perform(request, content)
