from __future__ import annotations

import asyncio
import dataclasses

import pytest
from structlog.testing import capture_logs

from services.llm.engine import Delta, EndReason
from services.llm.engines.openai import OpenAiEngine
from services.llm.engines.openai.options import OpenAiOptions, presets
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Message, Prompt, Role
from services.runtime.config.settings import SettingsError
from services.runtime.errors import AnimaError, Busy, FailedPrecondition, NotFound, Unavailable
from tests.unit.llm.openai.conftest import KEY, MakeEngine, read, settings_for
from tests.unit.llm.openai.model_server import ModelServer, Script, answer, chunk, event
from tests.unit.llm.talk import prompt_for


async def test_text_is_streamed_and_the_request_is_right(
    server: ModelServer, engine: MakeEngine, prompt: Prompt
) -> None:
    made = engine(temperature="0.5", stop="END|STOP", seed="3", max_tokens="99")
    text, end = await read(made, prompt)
    assert text == "Hello there."
    assert end.reason is EndReason.COMPLETE
    assert end.sources == ()
    (sent,) = server.requests
    assert sent["model"] == "tiny"
    assert sent["stream"] is True
    assert sent["stream_options"] == {"include_usage": True}
    assert (sent["temperature"], sent["seed"], sent["max_tokens"]) == (0.5, 3, 99)
    assert sent["stop"] == ["END", "STOP"]
    assert "cache_salt" not in sent
    assert sent["messages"][0]["role"] == "system"
    assert "I like tea." in sent["messages"][-1]["content"]
    assert server.keys == [f"Bearer {KEY}"]


async def test_text_comes_before_the_end(
    server: ModelServer, engine: MakeEngine, prompt: Prompt
) -> None:
    server.scripts.append(Script(hang_after=2))
    answering = engine().answer(prompt)
    assert await anext(answering) == Delta("Hello")
    await answering.aclose()


async def test_cancelling_closes_the_connection(
    server: ModelServer, engine: MakeEngine, prompt: Prompt
) -> None:
    server.scripts.append(Script(hang_after=2))
    made = engine()
    task = asyncio.create_task(read(made, prompt))
    await server.hung.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.left.wait()


async def test_a_full_answer_closes_the_connection(
    server: ModelServer, engine: MakeEngine, anima: Persona
) -> None:
    server.scripts.append(Script(pieces=answer("one two", " three"), hang_after=3))
    text, end = await read(engine(), prompt_for(anima, "?", max_words=2))
    assert text.strip() == "one two"
    assert end.reason is EndReason.LENGTH
    await server.left.wait()


async def test_length_is_told(server: ModelServer, engine: MakeEngine, prompt: Prompt) -> None:
    server.scripts.append(Script(pieces=answer("Too long", finish="length")))
    assert (await read(engine(), prompt))[1].reason is EndReason.LENGTH


@pytest.mark.parametrize(
    "pieces",
    [
        answer("<thi", "nk>secret</th", "ink>Said."),
        [event(chunk(reasoning_content="secret")), *answer("Said.")],
        [event(chunk(reasoning="secret")), *answer("Said.")],
        [b": keep-alive\n\n", *answer("Said.")],
        [b"".join(answer("Said."))],
        [bytes([byte]) for byte in b"".join(answer("Said."))],
        [piece.replace(b"\n", b"\r\n") for piece in answer("Said.")],
        answer("Said.")[:-1],
        [*answer("Said.")[:-2], event(chunk(finish_reason="stop")).rstrip(b"\n")],
        [event({"choices": [], "usage": {"prompt_tokens": 3}}), *answer("Said.")],
        [event(chunk(content=[{"type": "text", "text": "Said."}])), *answer()],
        [event(chunk(tool_calls=[{"index": 0}])), *answer("Said.")],
    ],
    ids=[
        "think in the text", "reasoning_content", "reasoning", "comments", "one piece", "bytes",
        "crlf", "no [DONE]", "no last line", "usage first", "parts", "tool call beside text",
    ],
)  # fmt: skip
async def test_what_servers_send(
    server: ModelServer, engine: MakeEngine, prompt: Prompt, pieces: list[bytes]
) -> None:
    server.scripts.append(Script(pieces=pieces))
    text, end = await read(engine(), prompt)
    assert text == "Said."
    assert end.reason is EndReason.COMPLETE


async def test_a_tool_call_alone_is_an_honest_error(
    server: ModelServer, engine: MakeEngine, prompt: Prompt
) -> None:
    pieces = [event(chunk(tool_calls=[{"index": 0}])), event(chunk(finish_reason="tool_calls"))]
    server.scripts.append(Script(pieces=pieces))
    with pytest.raises(FailedPrecondition, match="tool"):
        await read(engine(), prompt)


async def test_line_separators_inside_json_end_no_line(
    server: ModelServer, engine: MakeEngine, prompt: Prompt
) -> None:
    server.scripts.append(Script(pieces=answer("a\u2028b\u0085c")))
    assert (await read(engine(), prompt))[0].replace(" ", "") == "abc"


def error(message: str) -> dict[str, dict[str, str]]:
    return {"error": {"message": message}}


FAST = {"first_token_timeout_s": "0.2", "between_tokens_timeout_s": "0.2", "retries": "0"}


@pytest.mark.parametrize(
    ("script", "raised", "text"),
    [
        (Script(status=401, body=error(f"bad key {KEY}")), FailedPrecondition, "key"),
        (Script(status=404, body={"error": "no model 'tiny'"}), NotFound, "no model 'tiny'"),
        (Script(status=400, body=[error("bad field")]), FailedPrecondition, "bad field"),
        (Script(status=429, body={"message": "slow down"}), Busy, "slow down"),
        (Script(status=503, body="<html>down</html>"), Unavailable, "down"),
        (Script(hang_after=0), Unavailable, "in time"),
        (Script(hang_after=2), Unavailable, "in time"),
        (Script(cut_after=0), Unavailable, "broke"),
        (Script(cut_after=2), Unavailable, "broke"),
        (Script(pieces=answer("Half")[:-2]), Unavailable, "ended the answer early"),
        (Script(pieces=[event("no json")]), Unavailable, "not a JSON"),
        (Script(pieces=[b"data: \xff\xfe\n\n"]), Unavailable, "not a JSON"),
        (Script(pieces=[event({"error": {"message": "cuda"}})]), Unavailable, "cuda"),
        (Script(pieces=answer()), Unavailable, "nothing that can be spoken"),
    ],
    ids=[
        "401", "404", "400", "429", "503", "hangs before", "hangs after", "cut before", "cut after",
        "half", "no json", "no utf-8", "error event", "empty",
    ],
)  # fmt: skip
async def test_failures_are_told_clearly(
    server: ModelServer,
    engine: MakeEngine,
    prompt: Prompt,
    script: Script,
    raised: type[AnimaError],
    text: str,
) -> None:
    server.scripts.append(script)
    with capture_logs() as logs, pytest.raises(raised, match=text) as caught:
        await read(engine(**FAST), prompt)
    assert KEY not in caught.value.message
    assert KEY not in str(logs)
    assert len(server.requests) == 1
    assert (await read(engine(), prompt))[0] == "Hello there."


@pytest.mark.parametrize(
    "script",
    [
        Script(status=429, body={}, headers={"retry-after": "0"}),
        Script(status=500, body={}),
        Script(status=502, body={}),
        Script(cut_after=0),
        Script(cut_after=1),
        Script(pieces=[]),
    ],
    ids=["429", "500", "502", "cut before", "cut after the role", "nothing"],
)
async def test_a_request_is_sent_again_before_the_first_token(
    server: ModelServer, engine: MakeEngine, prompt: Prompt, script: Script
) -> None:
    server.scripts.append(script)
    assert (await read(engine(), prompt))[0] == "Hello there."
    assert len(server.requests) == 2


async def test_nothing_is_sent_again_after_the_first_token(
    server: ModelServer, engine: MakeEngine, prompt: Prompt
) -> None:
    server.scripts.append(Script(cut_after=2))
    with pytest.raises(Unavailable):
        await read(engine(), prompt)
    assert len(server.requests) == 1


async def test_a_long_retry_after_is_handed_on(
    server: ModelServer, engine: MakeEngine, prompt: Prompt
) -> None:
    script = Script(status=429, body={"error": {"message": "later"}}, headers={"retry-after": "60"})
    server.scripts.append(script)
    with pytest.raises(Busy) as caught:
        await read(engine(), prompt)
    assert caught.value.retry_after_ms == 60_000
    assert len(server.requests) == 1


async def test_a_server_that_is_away(engine: MakeEngine, prompt: Prompt) -> None:
    made = engine(base_url="http://127.0.0.1:9/v1", retries="1", start_timeout_s="0")
    with pytest.raises(Unavailable, match="cannot be reached"):
        await read(made, prompt)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await made.open()


async def test_opening_chooses_the_first_model(
    server: ModelServer, engine: MakeEngine, prompt: Prompt
) -> None:
    made = OpenAiEngine(settings_for(server.base_url, model=""))
    await made.open()
    await read(made, prompt)
    assert server.requests[0]["model"] == "tiny"
    assert "tiny" in made.describe().version
    await made.close()


async def test_opening_without_a_list_needs_a_name(server: ModelServer, engine: MakeEngine) -> None:
    server.models_status = 404
    await engine().open()
    unnamed = OpenAiEngine(settings_for(server.base_url, model=""))
    with pytest.raises(FailedPrecondition, match="ANIMA_LLM_MODEL"):
        await unnamed.open()
    await unnamed.close()


async def test_opening_with_a_wrong_key_fails_at_once(
    server: ModelServer, engine: MakeEngine
) -> None:
    server.models_status = 401
    with pytest.raises(FailedPrecondition, match="ANIMA_LLM_API_KEY"):
        await engine().open()


async def test_readiness_follows_the_server(server: ModelServer, engine: MakeEngine) -> None:
    reports: asyncio.Queue[str] = asyncio.Queue()
    watching = asyncio.create_task(engine(health_interval_s="0.02").watch(reports.put))
    server.models_status = 503
    assert "HTTP 503" in await reports.get()
    server.models_status = 200
    assert await reports.get() == ""
    watching.cancel()
    await asyncio.wait({watching})


async def test_people_do_not_share_cached_prompts(
    server: ModelServer, engine: MakeEngine, anima: Persona
) -> None:
    made = engine(preset="vllm")
    for user in ("ann", "ann", "bob", "", ""):
        prompt = prompt_for(anima, "Hi?")
        await read(made, Prompt(**(vars(prompt) | {"user_id": user})))
    salts = [request["cache_salt"] for request in server.requests]
    assert salts[0] == salts[1]
    assert len(set(salts)) == 4
    assert not any("ann" in salt for salt in salts)


async def test_an_endless_list_of_models_is_not_read(
    server: ModelServer, engine: MakeEngine
) -> None:
    server.models = ["m" * 100] * 50_000
    with pytest.raises(Unavailable, match="list of models"):
        await engine(start_timeout_s="0").open()


@pytest.mark.parametrize("line", [b"x", b"data: x\n"], ids=["one line", "many lines"])
async def test_an_endless_event_is_not_read(
    server: ModelServer, engine: MakeEngine, prompt: Prompt, line: bytes
) -> None:
    piece = line * (512 * 1024 // len(line))
    server.scripts.append(Script(pieces=[*answer("Hello")[:2], b"data: ", *[piece] * 20]))
    with pytest.raises(Unavailable, match="too long"):
        await read(engine(**FAST), prompt)


@pytest.mark.parametrize("media_type", ["application/json", "text/event-stream; charset=latin-1"])
async def test_events_are_read_whatever_their_type_is_called(
    server: ModelServer, engine: MakeEngine, prompt: Prompt, media_type: str
) -> None:
    server.scripts.append(Script(pieces=answer("Schön."), media_type=media_type))
    assert (await read(engine(), prompt))[0] == "Schön."


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"base_url": ""}, "ANIMA_LLM_PRESET"),
        ({"base_url": "example.org"}, "ANIMA_LLM_BASE_URL"),
        ({"base_url": "http://a:b@c/"}, "ANIMA_LLM_API_KEY_FILE"),
        ({"preset": "nobody"}, "qwen"),
        ({"temperature": "hot"}, "ANIMA_LLM_TEMPERATURE"),
        ({"extra": "{"}, "ANIMA_LLM_EXTRA"),
        ({"api_key_file": "x"}, "set one of them"),
    ],
)
def test_wrong_settings_name_the_variable(variables: dict[str, str], text: str) -> None:
    merged = {"base_url": "http://127.0.0.1:1/v1"} | variables
    with pytest.raises(SettingsError, match=text):
        OpenAiEngine(settings_for(**merged))


def test_presets_can_be_overridden() -> None:
    assert {"qwen", "gemini", "glm", "deepseek", "ollama", "llamacpp", "vllm", "linly"} <= set(
        presets()
    )
    made = OpenAiOptions.of(settings_for("", preset="qwen", model="qwen-max", extra='{"a": 1}'))
    assert made.base_url == presets()["qwen"].base_url
    assert made.model == "qwen-max"
    assert made.extra == {"enable_thinking": False, "a": 1}


async def test_a_prefill_asks_for_one_token_where_it_costs_nothing(
    server: ModelServer, engine: MakeEngine, prompt: Prompt
) -> None:
    await engine().prefill(prompt)
    assert not server.requests
    await engine(prefill="true").prefill(prompt)
    (sent,) = server.requests
    assert sent["max_tokens"] == 1
    await read(engine(prefill="true"), prompt)
    assert server.requests[1]["messages"] == sent["messages"]


async def test_a_chat_that_the_server_finds_too_long_is_shortened(
    server: ModelServer, engine: MakeEngine, anima: Persona
) -> None:
    history = [
        Message(role=Role.USER if number % 2 == 0 else Role.ASSISTANT, text="word " * 60)
        for number in range(24)
    ]
    said = {"error": {"code": "context_length_exceeded", "message": "too long"}}
    server.scripts += [Script(status=400, body=said), Script(status=400, body=said), Script()]
    text, _ = await read(engine(), prompt_for(anima, "Who are you?", history=history))
    assert text == "Hello there."
    lengths = [len(sent["messages"]) for sent in server.requests]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] < lengths[0]


async def test_a_server_that_finds_every_chat_too_long_is_told_of(
    server: ModelServer, engine: MakeEngine, prompt: Prompt
) -> None:
    said = {"error": {"message": "This model's maximum context length is 10 tokens."}}
    server.scripts += [Script(status=400, body=said)] * 10
    with pytest.raises(FailedPrecondition, match="maximum context length"):
        await read(engine(), prompt)


async def test_pictures_are_sent_to_a_model_that_sees(
    server: ModelServer, engine: MakeEngine, prompt: Prompt
) -> None:
    made = engine(sees_pictures="true")
    assert made.describe().sees_pictures
    assert not engine().describe().sees_pictures
    await read(made, dataclasses.replace(prompt, pictures=(b"\xff\xd8\xff",)))
    (sent,) = server.requests
    assert [part["type"] for part in sent["messages"][-1]["content"]] == ["image_url", "text"]
