"""The table of stages."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from gateway.stages.spec import STAGES, AnswerKind, StageSpec, chain, needed_for
from services.runtime.config.settings import ServiceSettings

SPECS = pytest.mark.parametrize("spec", STAGES.values(), ids=lambda spec: spec.name)


@SPECS
async def test_an_entry_names_what_exists(spec: StageSpec) -> None:
    assert importlib.util.find_spec(f"{spec.module}.__main__") is not None
    async with grpc.aio.insecure_channel(spec.default_target) as channel:
        stub = spec.stub(channel)
        assert hasattr(stub, "DescribeEngine")
        assert hasattr(stub, f"List{spec.offers.capitalize()}") or not spec.offers
    assert spec.request("DescribeEngine").DESCRIPTOR.full_name.startswith(spec.api)


@SPECS
def test_an_entry_agrees_with_the_service(spec: StageSpec) -> None:
    settings = [
        each
        for each in vars(importlib.import_module(f"{spec.module}.settings")).values()
        if isinstance(each, type) and issubclass(each, ServiceSettings) and each.stage == spec.name
    ]
    assert {each.default_port for each in settings} == {spec.default_port}
    servicer = Path(importlib.import_module(f"{spec.module}.servicer").__file__ or "")
    assert f'"{spec.health_service}"' in servicer.read_text("utf-8")


@SPECS
def test_the_terminal_event_is_an_event_of_the_stream(spec: StageSpec) -> None:
    service = spec.request("DescribeEngine").DESCRIPTOR.file.services_by_name[spec.service]
    answers = [each.output_type for each in service.methods if each.server_streaming]
    events = [
        {event.name for event in answer.oneofs_by_name["event"].fields}
        for answer in answers
        if "event" in answer.oneofs_by_name
    ]
    # A stream of a turn can be interrupted.
    (of_turn,) = [each for each in events if "interrupted" in each] or [set()]
    assert spec.terminal_event in of_turn if of_turn else spec.terminal_event is None
    assert (spec.silence_ms is not None) == bool(of_turn)


def test_a_turn_passes_through_the_stages_in_the_order_of_the_chain() -> None:
    assert chain() == ("asr", "memory", "llm", "tts", "avatar")


def test_what_is_not_shown_needs_no_face() -> None:
    assert needed_for(AnswerKind.TEXT) == ("llm",)
    assert needed_for(AnswerKind.SPEECH) == ("llm", "tts")
    assert needed_for(AnswerKind.VIDEO) == ("llm", "tts", "avatar")


def test_the_table_imports_no_grpc() -> None:
    code = "import sys, gateway.stages.spec; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
