"""docs/engines.md names only files, modules and tests that exist."""

from __future__ import annotations

import importlib.util
import re

import pytest

from tests.requirements import ROOT

TEXT = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
STAGES = ("asr", "llm", "tts", "avatar")


def modules() -> list[str]:
    names = sorted(set(re.findall(r"`(services\.[a-z_.<>]+)`", TEXT)))
    return [
        name.replace("<stage>", stage)
        for name in names
        for stage in (STAGES if "<stage>" in name else ("",))
    ]


@pytest.mark.parametrize("module", modules())
def test_module_exists(module: str) -> None:
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([a-z_-]+/[\w./-]+)`", TEXT))))
def test_file_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("stage", [*STAGES, "memory"])
def test_interface_of_a_stage_is_where_the_page_says(stage: str) -> None:
    path, name = re.findall(rf"^\| {stage} \| `([\w/.]+)` `(\w+)` ", TEXT, re.MULTILINE)[0]
    assert f"class {name}(" in (ROOT / path).read_text(encoding="utf-8")
