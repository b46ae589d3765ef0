"""The history that a returning page gets back."""

from __future__ import annotations

from dataclasses import replace

from gateway.realtime.client_events import ClientConfig
from gateway.realtime.histories import Histories
from testing.fakes.mesh import FakeMesh
from tests.unit.web.clients import Page

NAME = "a-name-that-nobody-guesses"
CONFIG = ClientConfig(session_id=NAME, user_id="web-1")


def test_kept_for_some_minutes_for_the_same_names_only() -> None:
    clock = [0.0]
    histories = Histories(most=2, keep_s=60, now=lambda: clock[0])
    histories.keep(CONFIG, [("user", "Hi")])

    assert histories.take(CONFIG) == [("user", "Hi")]
    assert histories.take(replace(CONFIG, user_id="web-2")) == []
    assert histories.take(replace(CONFIG, persona="other")) == []
    clock[0] = 61
    assert histories.take(CONFIG) == []


def test_the_oldest_give_way_and_names_that_can_be_guessed_are_not_kept() -> None:
    histories = Histories(most=2)
    for number in range(3):
        histories.keep(replace(CONFIG, session_id=f"{NAME}-{number}"), [("user", "Hi")])
    histories.keep(replace(CONFIG, session_id="short"), [("user", "Hi")])

    kept = [bool(histories.take(replace(CONFIG, session_id=f"{NAME}-{n}"))) for n in range(3)]
    assert kept == [False, True, True]
    assert histories.take(replace(CONFIG, session_id="short")) == []


async def test_client_that_comes_back_is_still_known(page: Page, stages: FakeMesh) -> None:
    for _ in range(2):
        async with page.client() as client:
            await client.configure(media="pcm", session_id=NAME)
            await client.ask("Who are you?")
            await client.until("response.done")
    first, second = stages.llm.configs

    assert list(first.history) == []
    assert [message.text for message in second.history] == [
        "Who are you?",
        "This is the first clause, and this is the rest. Bye now.",
    ]


async def test_client_that_opens_a_second_connection_is_known_there(
    page: Page, stages: FakeMesh
) -> None:
    async with page.client() as first, page.client() as second:
        for client in (first, second):
            await client.configure(media="pcm", session_id=NAME)
            await client.ask("Who are you?")
            await client.until("response.done")

    assert [len(config.history) for config in stages.llm.configs] == [0, 2]
