"""docs/settings.md matches the models, and the other pages name only existing settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.gen_settings import PAGE, page
from services.runtime.config.known_variables import installed_settings
from services.runtime.engines import engine_option_names
from tests.requirements import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_SETTINGS = {
    "ANIMA_GATEWAY",  # of the command line
    "ANIMA_REQUIRE_ALL",  # of the tests
    "ANIMA_LLM_PORT",  # of Kubernetes
    "ANIMA_TTS_WORDS_PER_MINUTE",  # of the template of an engine
    "ANIMA_X",
}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python scripts/gen_settings.py"


@pytest.fixture(scope="module", name="known")
def _known() -> set[str]:
    names = set(NOT_SETTINGS)
    for stage, model in installed_settings().items():
        own = {
            f"{stage}_{setting}" for setting in {*model.variables(), *engine_option_names(stage)}
        }
        names |= {f"ANIMA_{each.upper()}" for each in own.union(model.variables())}
    return names


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_setting_that_a_page_names_exists(path: Path, known: set[str]) -> None:
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"ANIMA_[A-Z0-9_]*[A-Z0-9]\b(?![_*])", text)) <= known
