"""How the engine `openai` reads its key, and that it shows it nowhere."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from services.llm.engines.openai import OpenAiEngine
from services.llm.prompt.prompt import Prompt
from services.runtime.config.settings import SettingsError
from services.runtime.errors import FailedPrecondition
from tests.unit.llm.openai.conftest import KEY, read, settings_for
from tests.unit.llm.openai.model_server import ModelServer


async def test_the_key_is_read_again_from_its_file(
    server: ModelServer, prompt: Prompt, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("first\n")
    made = OpenAiEngine(settings_for(server.base_url, api_key="", api_key_file=str(file)))
    await read(made, prompt)
    file.write_text("second")
    await read(made, prompt)
    assert server.keys == ["Bearer first", "Bearer second"]
    file.unlink()
    with pytest.raises(FailedPrecondition, match="ANIMA_LLM_API_KEY_FILE"):
        await read(made, prompt)
    await made.close()


async def test_a_key_file_that_did_not_change_is_not_read_again(
    server: ModelServer, prompt: Prompt, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("first")
    before = file.stat()
    made = OpenAiEngine(settings_for(server.base_url, api_key="", api_key_file=str(file)))
    await read(made, prompt)
    file.write_text("other")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    await read(made, prompt)
    await made.close()
    assert server.keys == ["Bearer first"] * 2


async def test_a_slow_key_file_does_not_stop_the_loop(
    server: ModelServer, prompt: Prompt, tmp_path: Path
) -> None:
    pipe = tmp_path / "key"
    os.mkfifo(pipe)
    waited = threading.Event()
    in_time: list[bool] = []

    def write() -> None:
        in_time.append(waited.wait(10))
        pipe.write_text("pipe")

    writer = threading.Thread(target=write)
    writer.start()
    made = OpenAiEngine(settings_for(server.base_url, api_key="", api_key_file=str(pipe)))
    asking = asyncio.create_task(read(made, prompt))
    for _ in range(10):
        await asyncio.sleep(0)
    waited.set()
    await asking
    await made.close()
    writer.join()

    assert in_time == [True]
    assert server.keys == ["Bearer pipe"]


@pytest.mark.parametrize("key", ["two words", "schl\u00fcssel", "line\nbreak"])
async def test_a_key_file_that_holds_no_key_is_named(
    server: ModelServer, prompt: Prompt, tmp_path: Path, key: str
) -> None:
    file = tmp_path / "key"
    file.write_text(key, encoding="utf-8")
    made = OpenAiEngine(settings_for(server.base_url, api_key="", api_key_file=str(file)))
    with pytest.raises(FailedPrecondition, match="ANIMA_LLM_API_KEY_FILE") as caught:
        await read(made, prompt)
    await made.close()
    assert key not in caught.value.message


def test_the_key_is_never_shown() -> None:
    settings = settings_for("http://127.0.0.1:1/v1")
    assert KEY not in repr(settings)
    assert KEY not in str(settings.options)
    with pytest.raises(SettingsError, match="ANIMA_LLM_API_KEY") as caught:
        settings_for("http://127.0.0.1:1/v1", api_key=f"{KEY} \u00e4")
    assert KEY not in str(caught.value)
