"""Pictures: the engine `gguf` with a tiny multimodal model in the real library."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Message, Prompt, Role
from services.runtime.errors import FailedPrecondition
from testing.models.tiny_vision import make_tiny_vision
from tests.unit.llm.gguf.conftest import opened, read
from tests.unit.llm.talk import prompt_for


def jpeg(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(file, "JPEG")
    return file.getvalue()


def asked(anima: Persona, *colours: str) -> Prompt:
    prompt = prompt_for(anima, "What is this?", language="en")
    return replace(prompt, pictures=tuple(map(jpeg, colours)))


async def test_what_is_seen_changes_the_answer(tmp_path: Path, tiny: Path, anima: Persona) -> None:
    make_tiny_vision(tmp_path / "mmproj.gguf")
    options = {"vision_model": str(tmp_path / "mmproj.gguf"), "context_tokens": "4096"}
    async with opened(tiny, slots="1", **options) as engine:
        assert engine.describe().sees_pictures
        red, blue = [(await read(engine, asked(anima, colour)))[0] for colour in ("red", "blue")]
        assert red != blue
        assert (await read(engine, asked(anima, "red")))[0] == red
        shown = Message(role=Role.USER, text="And this?", pictures=(jpeg("green"),))
        later = replace(asked(anima), history=(shown,))
        assert (await read(engine, later))[0] not in (red, blue)
        two, _, _ = await read(engine, asked(anima, "red", "blue"))
        assert two not in (red, blue)


async def test_a_part_that_does_not_see_is_named(tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"ANIMA_LLM_VISION_MODEL.*none\.gguf: No such"):
        async with opened(tiny, vision_model=str(tmp_path / "none.gguf")):
            pass


async def test_a_part_of_another_kind_is_refused(tiny: Path) -> None:
    with pytest.raises(FailedPrecondition, match="cannot load"):
        async with opened(tiny, vision_model=str(tiny)):
            pass


async def test_a_model_without_eyes_says_so(tiny: Path) -> None:
    async with opened(tiny, slots="1") as engine:
        assert not engine.describe().sees_pictures
