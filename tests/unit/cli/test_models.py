from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from typer.testing import CliRunner, Result

from cli.main import app
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelStore
from tests.requirements import need

CONTENT = b"the weights"
REGISTRY = """
[models.tiny]
description = "A tiny model"
licence = "Apache-2.0"
source = {{ kind = "file", folder = "{folder}" }}

[[models.tiny.files]]
name = "tiny.bin"
sha256 = "{sha256}"
size_bytes = {size}
"""


def run(data: Path, *arguments: str) -> Result:
    environment = {"COLUMNS": "300", "ANIMA_DATA_DIR": str(data)}
    return CliRunner().invoke(app, ["models", *arguments], env=environment)


def registered(tmp_path: Path, content: bytes) -> Path:
    source, data = tmp_path / "source", tmp_path / "data"
    source.mkdir()
    (data / "models").mkdir(parents=True)
    (source / "tiny.bin").write_bytes(content)
    text = REGISTRY.format(
        folder=source, sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT)
    )
    (data / "models" / "models.toml").write_text(text)
    return data


def test_a_model_is_listed_pulled_and_then_here(tmp_path: Path) -> None:
    data = registered(tmp_path, CONTENT)
    assert "missing" in next(
        line for line in run(data, "list").output.splitlines() if "A tiny model" in line
    )
    assert run(data, "pull", "tiny").exit_code == 0
    assert (data / "models" / "tiny" / "tiny.bin").read_bytes() == CONTENT
    assert "present" in next(
        line for line in run(data, "list").output.splitlines() if "A tiny model" in line
    )
    assert "already installed" in run(data, "pull", "tiny").output


def test_another_content_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    data = registered(tmp_path, b"the weighty")
    ended = run(data, "pull", "tiny")
    assert ended.exit_code == 1
    assert "sha256" in ended.output
    assert not (data / "models" / "tiny").exists()


def test_a_model_that_fails_says_what_is_done_without_it_and_the_others_are_pulled(
    tmp_path: Path,
) -> None:
    data = registered(tmp_path, CONTENT)
    registry = data / "models" / "models.toml"
    entry = registry.read_text()
    broken = entry.replace("models.tiny", "models.broken").replace("tiny.bin", "gone.bin")
    registry.write_text(
        entry + broken.replace("licence =", 'without = "Everything is slower."\nlicence =')
    )
    ended = run(data, "pull", "broken", "tiny")
    assert ended.exit_code == 1
    assert "broken could not be pulled: gone.bin: " in ended.output
    assert "Everything is slower." in ended.output
    assert (data / "models" / "tiny" / "tiny.bin").read_bytes() == CONTENT


def test_the_model_that_is_used_instead_is_pulled_if_the_wanted_one_cannot_be(
    tmp_path: Path,
) -> None:
    data = registered(tmp_path, CONTENT)
    registry = data / "models" / "models.toml"
    entry = registry.read_text()
    broken = entry.replace("models.tiny", "models.broken").replace("tiny.bin", "gone.bin")
    registry.write_text(entry + broken.replace("licence =", 'instead = "tiny"\nlicence ='))
    ended = run(data, "pull", "broken")
    assert ended.exit_code == 1
    assert "broken could not be pulled" in ended.output
    assert "tiny is installed" in ended.output
    assert (data / "models" / "tiny" / "tiny.bin").read_bytes() == CONTENT


def test_an_unknown_model_and_no_model_are_told(tmp_path: Path) -> None:
    data = registered(tmp_path, CONTENT)
    assert "unknown model huge" in run(data, "pull", "huge").output
    assert "no model given" in run(data, "pull").output


def test_pulling_the_ears_for_other_languages_says_what_is_still_to_be_done() -> None:
    need("whisper-base")
    done = run(ServiceSettings.from_environment().data_dir, "pull", "whisper-base")
    assert done.exit_code == 0
    assert "To understand more languages: restart Anima." in done.output


def test_a_check_finds_what_is_missing_and_pulls_nothing(tmp_path: Path) -> None:
    data = registered(tmp_path, CONTENT)
    missing = run(data, "check", "tiny")
    assert missing.exit_code == 1
    assert "anima models pull tiny" in missing.output
    assert not (data / "models" / "tiny").exists()
    assert run(data, "pull", "tiny").exit_code == 0
    assert run(data, "check", "tiny").exit_code == 0


def test_a_check_waits_until_another_process_has_pulled(tmp_path: Path) -> None:
    data = registered(tmp_path, CONTENT)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ModelStore(data / "models").pull, "tiny")
        assert run(data, "check", "tiny", "--wait-s", "60").exit_code == 0
        waiting.result()
